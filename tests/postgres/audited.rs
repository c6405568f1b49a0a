//! The audit of dispatches in Postgres.

use cqrs::audit::{AuditQuery, AuditStore as _};
use cqrs::middleware::Audit;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use crate::domain::{schema, store};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "audited.Written")]
struct Written {}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Office, aggregate = Book, identify_by = book, redact = [secret])]
struct Write {
    book: String,
    text: String,
    secret: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not to be written, which is: {0}")]
struct Refused(String);

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct Book;

#[aggregate(stream_prefix = "audited_book", error = Refused)]
impl Book {
    #[execute]
    fn write(&self, command: &Write) -> Result<Written, Refused> {
        if command.text.starts_with("no") { Err(Refused(command.text.clone())) } else { Ok(Written {}) }
    }

    #[apply]
    fn written(&mut self, _event: &Written) {}
}

#[derive(Router)]
struct Office;

application! {
    struct Audited {
        routers: [Office],
    }
}

fn write(text: &str) -> Write {
    Write { book: "b".to_owned(), text: text.to_owned(), secret: "s3cret".to_owned() }
}

/// T-440: who sent what and how it ended, whatever characters there are in it.
#[tokio::test]
async fn t_440_successes_and_failures_are_recorded() {
    let schema = schema().await;
    let store = store(&schema).await;
    let audited = Audited::builder(store.clone()).middleware(Audit::new(store.clone()));
    let audited = audited.start().await.unwrap();
    let sent = audited.dispatch(write("yes")).metadata("actor", "u-7").await.unwrap();
    let refused = audited.dispatch(write("no\u{0}no")).metadata("actor", "u-\u{0}8").await;
    assert!(matches!(refused, Err(DispatchError::Rejected(_))), "{refused:?}");
    let found = store.audit(&AuditQuery::new(), None, 10).await.unwrap();
    let told: Vec<_> =
        found.iter().map(|record| (record.is_success().unwrap(), record.actor.clone().unwrap())).collect();
    assert_eq!(told, [(true, "u-7".to_owned()), (false, "u-\u{fffd}8".to_owned())]);
    assert_eq!(found[0].command_id, sent.command_id());
    assert!(!found[0].data.to_string().contains("s3cret"), "{}", found[0].data);
    let error = found[1].outcome.as_ref().unwrap().error.as_ref().unwrap();
    assert!(error.text.ends_with("no\u{fffd}no"), "{}", error.text);
    audited.shutdown().await;
}
