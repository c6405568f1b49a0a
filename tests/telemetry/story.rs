//! An application to which everything happens that there is a name for.

use std::sync::Arc;
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::testing::{TestClock, settle};

use crate::domain::{Library, NoteLater, Porter, SECRET, library, note};
use crate::gate::Gate;
use crate::recorder::{TestPropagator, until_heard};

/// Under which name it runs.
pub const STORY: &str = "story";

/// Tells the story, which takes no time where tokio's clock is paused.
pub async fn story() {
    let clock = TestClock::new();
    let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
    let gate = Gate::shut();
    let porter = Porter { gate: gate.clone() };
    let first =
        library(STORY, store.clone()).node("first").propagator(TestPropagator).command_handler(porter);
    let first = first.start().await.unwrap();

    for what in ["answer", "fail", "refuse", "panic"] {
        let _ = first.dispatch(note("b-1", what)).await;
    }
    settle(&first).await;
    write_together(&first, &gate).await;

    let second = library(STORY, store.clone()).node("second").start().await.unwrap();
    second.dispatch(note("b-1", "one more")).await.unwrap();
    first.dispatch(note("b-1", "on a state that is old")).await.unwrap();
    until_heard(STORY, |heard| heard.value("gauge.cqrs.handler.parked") == Some("1")).await;

    // By the store's clock the leases are over; whoever asks next has them.
    clock.advance(Duration::from_secs(3_600));
    until_heard(STORY, |heard| heard.value("monotonic_counter.cqrs.lease.lost").is_some()).await;
    first.shutdown().await;
    second.shutdown().await;
}

/// Has so many commands wait for one aggregate that two are appended together, and one finds the mailbox full.
async fn write_together(library: &Library, gate: &Gate) {
    let later = NoteLater { book: "b-1".to_owned(), text: SECRET.to_owned() };
    let noted = tokio::join!(
        library.dispatch(later).into_future(),
        library.dispatch(note("b-1", "second")).into_future(),
        library.dispatch(note("b-1", "third")).into_future(),
        library.dispatch(note("b-1", "fourth")).into_future(),
        async { gate.open() },
    );
    assert!(noted.0.is_ok() && noted.1.is_ok() && noted.2.is_ok() && noted.3.is_ok());
}
