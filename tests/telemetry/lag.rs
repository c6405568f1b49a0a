//! How far handlers are behind.

use std::sync::Arc;
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::testing::{TestClock, settle};

use crate::domain::{Reader, library, note};
use crate::gate::Gate;
use crate::recorder::until_heard;

const WAITED: Duration = Duration::from_secs(90);

#[tokio::test(start_paused = true)]
async fn the_lag_of_a_handler_is_told_in_positions_and_in_time() {
    let clock = TestClock::new();
    let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
    let reader = Reader { gate: Gate::shut() };
    let library = library("lag", store).clock(clock.clone()).event_handler(reader.clone());
    let library = library.start().await.unwrap();
    let handler = library.handler("reader").unwrap();
    assert_eq!(handler.status().await.unwrap().lag_time, Some(Duration::ZERO));

    library.dispatch(note("b-1", "first")).await.unwrap();
    clock.advance(WAITED);
    library.dispatch(note("b-1", "second")).await.unwrap();
    reader.gate.arrival().await;
    let status = handler.status().await.unwrap();
    assert_eq!((status.lag, status.lag_time), (2, Some(WAITED)), "counted from the oldest event");
    let health = library.health().await.unwrap();
    assert_eq!(health.handlers.iter().find(|one| one.name == "reader").unwrap().lag_time, Some(WAITED));
    let told = until_heard("lag", |heard| {
        heard.value("cqrs.handler") == Some("reader")
            && heard.value("gauge.cqrs.subscription.lag") == Some("2")
    });
    assert_eq!(told.await.value("gauge.cqrs.subscription.lag_time"), Some("90.0"));

    reader.gate.open();
    settle(&library).await;
    let status = handler.status().await.unwrap();
    assert_eq!((status.lag, status.lag_time), (0, Some(Duration::ZERO)));
    library.shutdown().await;
}
