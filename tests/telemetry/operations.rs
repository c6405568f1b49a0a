//! What is told of the store's operations.

use cqrs::prelude::*;
use cqrs::testing::settle;

use crate::domain::{library, note};
use crate::faulty_store::{Call, Fault, FaultyStore};
use crate::recorder::{Heard, heard_of};

/// Which operation, what it was about, why it failed, and whether it is marked as failed.
type Told<'a> = (&'a str, Option<&'a str>, Option<&'a str>, bool);

fn told(heard: &Heard) -> Option<Told<'_>> {
    let about = match heard.name {
        "append" => "cqrs.stream_id",
        "receive" => "messaging.batch.message_count",
        "lease" => "cqrs.operation",
        _ => return None,
    };
    let is_failed = heard.value("otel.status_code") == Some("ERROR");
    heard.is_span.then(|| (heard.name, heard.value(about), heard.value("error.type"), is_failed))
}

/// T-403, of those operations that have a span: appends, what the tail reads, leases.
#[tokio::test(start_paused = true)]
async fn t_403_an_operation_of_the_store_tells_what_it_is_about_and_why_it_failed() {
    let store = FaultyStore::default();
    let name = "operations";
    store.fail(Call::Append, Fault::Unavailable, 1);
    store.fail(Call::ReadLog, Fault::Unavailable, 1);
    store.fail(Call::RenewLeases, Fault::Unavailable, 1);
    let library = library(name, store.clone()).start().await.unwrap();
    let refused = library.dispatch(note("o-1", "first")).await;
    assert!(matches!(refused, Err(DispatchError::Store { .. })), "{refused:?}");
    library.dispatch(note("o-1", "second")).await.unwrap();
    settle(&library).await;
    crate::recorder::until_heard(name, |heard| {
        told(heard) == Some(("lease", Some("renew"), Some("unavailable"), true))
    })
    .await;
    library.shutdown().await;
    let heard = heard_of(name);
    let all: Vec<_> = heard.iter().filter_map(told).collect();
    for expected in [
        ("append", Some("book-o-1"), Some("unavailable"), true),
        ("append", Some("book-o-1"), None, false),
        ("receive", Some("0"), Some("unavailable"), true),
        ("receive", Some("1"), None, false),
        ("lease", Some("acquire"), None, false),
        ("lease", Some("release"), None, false),
    ] {
        assert!(all.contains(&expected), "{expected:?} in {all:?}");
    }
}
