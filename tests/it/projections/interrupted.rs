//! Orders that come while a projection is in the middle of its work: each event takes effect once.

use super::domain::*;
use cqrs::application::Config;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;

/// More events than are projected at once.
const EVENTS: usize = 1_200;

/// A projection that waits at the gate in the middle of the first events.
async fn busy(store: &MemoryStore, rows: &Books) -> (Desk, Gate) {
    past(store, EVENTS).await;
    let gate = Gate::shut();
    let notebooks = Notebooks::on(rows).with_faults(&Faults::of("7", Fault::Hold(gate.clone())));
    // All of them are read at once.
    let config = Config::new().tail_page(10_000);
    let desk = Desk::builder(store.clone()).config(config).projection(notebooks).start().await.unwrap();
    soon(gate.arrival()).await;
    (desk, gate)
}

/// Each event up to a position is in its book, once and in its place.
fn check_rows(rows: &Books, position: u64) {
    let position = usize::try_from(position).unwrap();
    for name in ["a", "b"] {
        assert_eq!(book(rows, name), notes_of(name, position), "{name} up to {position}");
    }
}

#[tokio::test]
async fn a_pause_comes_behind_the_events_that_are_projected_together() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let (desk, gate) = busy(&store, &rows).await;
    let handler = desk.handler("notebooks").unwrap();
    handler.pause().await.unwrap();
    gate.open();
    let position = until_state(&desk, "notebooks", HandlerState::Paused).await.position;
    assert!(position >= 7 && position < EVENTS as u64, "paused at {position}");
    check_rows(&rows, position);
    handler.resume().await.unwrap();
    until_caught_up(&desk, "notebooks").await;
    check_rows(&rows, EVENTS as u64);
    desk.shutdown().await;
}

/// Rows are not taken away under their readers: a projection refuses, and goes on.
#[tokio::test]
async fn a_reset_in_the_middle_is_refused_and_changes_nothing() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let (desk, gate) = busy(&store, &rows).await;
    desk.handler("notebooks").unwrap().reset().await.unwrap();
    gate.open();
    let error = until(async || status(&desk, "notebooks").await.last_error).await;
    assert!(error.contains("rebuild it"), "{error}");
    until_caught_up(&desk, "notebooks").await;
    check_rows(&rows, EVENTS as u64);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_rebuild_that_is_asked_for_in_the_middle_makes_the_same_rows() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let (desk, gate) = busy(&store, &rows).await;
    let rebuild = desk.projection::<Notebooks>().unwrap().rebuild().await.unwrap();
    gate.open();
    soon(rebuild.switched()).await.unwrap();
    until_caught_up(&desk, "notebooks").await;
    check_rows(&rows, EVENTS as u64);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_stop_in_the_middle_loses_nothing_and_repeats_nothing() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let (desk, gate) = busy(&store, &rows).await;
    let (stopped, ()) = tokio::join!(desk.shutdown(), async { gate.open() });
    assert!(stopped.is_clean());
    let desk = self::desk(&store, Notebooks::on(&rows)).await;
    until_caught_up(&desk, "notebooks").await;
    check_rows(&rows, EVENTS as u64);
    desk.shutdown().await;
}

/// The events of a book wait behind one that fails; that it is to be tried again, or left out, is said while others are
/// projected.
#[tokio::test]
async fn what_is_to_be_retried_or_left_out_takes_effect_once() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let faults = Faults::default();
    for text in ["bad p", "bad q"] {
        faults.set(text, Fault::Fail);
    }
    let first = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&first, &[("p", "bad p"), ("q", "bad q"), ("p", "2"), ("q", "2")]).await;
    assert!(book(&rows, "p").is_empty() && book(&rows, "q").is_empty());
    first.shutdown().await;

    let gate = Gate::shut();
    faults.set("hold", Fault::Hold(gate.clone()));
    let writer = Desk::builder(store.clone()).start().await.unwrap();
    for (name, text) in [("o", "1"), ("o", "hold"), ("p", "3"), ("q", "3"), ("o", "3")] {
        writer.dispatch(note(name, text)).await.unwrap();
    }
    writer.shutdown().await;
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    soon(gate.arrival()).await;
    let handler = desk.handler("notebooks").unwrap();
    faults.mend("bad p");
    handler.retry_parked("book-p").await.unwrap();
    handler.skip_parked("book-q").await.unwrap();
    gate.open();
    until(async || (status(&desk, "notebooks").await.parked == 0).then_some(())).await;
    until_caught_up(&desk, "notebooks").await;
    assert_eq!(book(&rows, "o"), texts(&["1", "hold", "3"]));
    assert_eq!(book(&rows, "p"), texts(&["bad p", "2", "3"]));
    assert_eq!(book(&rows, "q"), texts(&["2", "3"]));
    desk.shutdown().await;
}
