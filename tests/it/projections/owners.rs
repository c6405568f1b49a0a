//! Several nodes: one makes the rows, and one that stood still cannot write any more.

use super::domain::*;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::projection::{RowError, RowPlace, RowStore as _, RowTransaction as _};
use cqrs::store::HandlerCommit;

fn place(epoch: u64) -> RowPlace {
    RowPlace { projection: "notebooks".into(), generation: 1, epoch }
}

/// T-429: two owners at once: the earlier one is refused, and its rows with it.
#[tokio::test]
async fn t_429_an_owner_that_was_followed_cannot_commit() {
    let rows = Books::new();
    rows.add("notebooks", 1, "log").await.unwrap();
    rows.claim(&place(1)).await.unwrap();
    rows.make(&place(1)).await.unwrap().commit(0, HandlerCommit::new().position(0)).await.unwrap();
    rows.activate(&place(1), 0, 0).await.unwrap();
    rows.claim(&place(1)).await.unwrap();
    let mut old = rows.begin(&place(1)).await.unwrap();
    old.connection().row("a".to_owned()).push("old".to_owned());
    rows.claim(&place(2)).await.unwrap();
    let mut new = rows.begin(&place(2)).await.unwrap();
    new.connection().row("a".to_owned()).push("new".to_owned());
    new.commit(0, HandlerCommit::new().position(1)).await.unwrap();
    let refused = old.commit(0, HandlerCommit::new().position(1)).await;
    assert!(matches!(refused, Err(RowError::Fenced { .. })), "{refused:?}");
    assert!(matches!(rows.claim(&place(1)).await, Err(RowError::Fenced { .. })));
    assert_eq!(book(&rows, "a"), texts(&["new"]));
    // Nor does a second transaction of the same owner that began at the same position.
    let again = rows.begin(&place(2)).await.unwrap();
    let refused = again.commit(0, HandlerCommit::new().position(1)).await;
    assert!(matches!(refused, Err(RowError::Fenced { .. })), "{refused:?}");
}

/// Of two nodes one makes the rows; a strong dispatch on either waits for them, and when the one stops the other goes
/// on.
#[tokio::test]
async fn one_node_makes_the_rows_and_another_one_follows() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let first = node("first", &store, Notebooks::on(&rows)).await;
    let second = node("second", &store, Notebooks::on(&rows)).await;
    take_notes(&first, &[("a", "1")]).await;
    take_notes(&second, &[("a", "2")]).await;
    assert_eq!(status(&second, "notebooks").await.state, HandlerState::Passive);
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    first.shutdown().await;
    take_notes(&second, &[("a", "3")]).await;
    assert_eq!(status(&second, "notebooks").await.state, HandlerState::Running);
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    second.shutdown().await;
}

/// T-429: a node that stands still in a transaction is followed, and what it wrote is undone when it comes back.
#[tokio::test]
async fn t_429_a_node_that_stood_still_is_followed() {
    use crate::leases::domain::store_with_clock;
    let ((store, clock), rows, gate) = (store_with_clock(), Books::new(), Gate::shut());
    let faults = Faults::of("1", Fault::Hold(gate.clone()));
    let first = node("first", &store, Notebooks::on(&rows).with_faults(&faults)).await;
    first.dispatch(note("a", "1")).await.unwrap();
    soon(gate.arrival()).await;
    let second = node("second", &store, Notebooks::on(&rows)).await;
    // The store's time goes on, the first node's does not.
    clock.advance(std::time::Duration::from_secs(20));
    take_notes(&second, &[("a", "2")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    gate.open();
    until_state(&first, "notebooks", HandlerState::Passive).await;
    take_notes(&first, &[("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]), "each once");
    first.shutdown().await;
    second.shutdown().await;
}

/// What stands still takes no commits, until it is followed or the time has passed.
#[tokio::test(start_paused = true)]
async fn active_rows_stand_still_for_the_next_ones() {
    use std::time::Duration;
    let rows = Books::new();
    let begin = async |generation| {
        let place = RowPlace { generation, ..place(1) };
        rows.add("notebooks", 1, "log").await.unwrap();
        rows.claim(&place).await.unwrap();
        rows.make(&place).await.unwrap().commit(0, HandlerCommit::new().position(0)).await.unwrap();
        place
    };
    let first = begin(1).await;
    rows.activate(&first, 0, 0).await.unwrap();
    rows.claim(&first).await.unwrap();
    let second = begin(2).await;
    let advance = async |from| {
        let transaction = rows.begin(&first).await.unwrap();
        transaction.commit(from, HandlerCommit::new().position(from + 1)).await
    };
    advance(0).await.unwrap();
    let behind = rows.activate(&second, 0, 0).await;
    assert!(matches!(behind, Err(RowError::Behind { active: 1 })), "{behind:?}");
    assert_eq!(rows.hold_active(&second, Duration::from_secs(5)).await.unwrap(), 1);
    assert!(matches!(advance(1).await, Err(RowError::Fenced { .. })));
    assert!(rows.generations("notebooks").await.unwrap()[0].is_held);
    tokio::time::advance(Duration::from_secs(6)).await;
    advance(1).await.unwrap();
    rows.hold_active(&second, Duration::from_secs(5)).await.unwrap();
    rows.activate(&second, 0, 2).await.unwrap();
    assert!(!rows.generations("notebooks").await.unwrap()[1].is_held);
}
