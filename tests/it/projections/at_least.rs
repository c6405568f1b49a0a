//! Whoever has written reads what was written.

use std::time::Duration;

use super::domain::*;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::projection::AtLeastError;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn rows_are_waited_for_by_the_position_of_a_command() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let first = node("first", &store, Notebooks::on(&rows)).await;
    let second = node("second", &store, Notebooks::on(&rows)).await;
    for (desk, text) in [(&first, "1"), (&second, "2"), (&first, "3")] {
        let position = desk.dispatch(note("a", text)).await.unwrap().position().unwrap();
        desk.projection::<Notebooks>().unwrap().at_least(position, LIMIT).await.unwrap();
        assert!(book(&rows, "a").contains(&text.to_owned()));
    }
    // Events that lead to no rows do not hold anybody up.
    let position = first.dispatch(Stamp { book: "a".to_owned() }).await.unwrap().position().unwrap();
    for desk in [&first, &second] {
        desk.projection::<Notebooks>().unwrap().at_least(position, LIMIT).await.unwrap();
    }
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_told_with_where_it_is() {
    let (store, rows, gate) = (MemoryStore::new(), Books::new(), Gate::shut());
    let faults = Faults::of("2", Fault::Hold(gate.clone()));
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&desk, &[("a", "1")]).await;
    let position = desk.dispatch(note("a", "2")).await.unwrap().position().unwrap();
    gate.arrival().await;
    let notebooks = desk.projection::<Notebooks>().unwrap();
    let late = notebooks.at_least(position, SECOND).await.unwrap_err();
    let AtLeastError::TimedOut { wanted, position: at, state, .. } = &late else { panic!("{late:?}") };
    assert_eq!((*wanted, *at, *state), (2, 1, HandlerState::Running));
    assert!(late.to_string().contains("running at position 1"), "{late}");
    gate.open();
    notebooks.at_least(position, SECOND).await.unwrap();
    let beyond = notebooks.at_least(99, SECOND).await.unwrap_err();
    assert!(matches!(beyond, AtLeastError::TimedOut { .. }), "{beyond:?}");
    desk.shutdown().await;
}

#[tokio::test]
async fn a_projection_that_is_down_or_has_parked_the_event_is_told_at_once() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    let notebooks = desk.projection::<Notebooks>().unwrap();
    take_notes(&desk, &[("a", "bad")]).await;
    assert!(matches!(notebooks.at_least(1, LIMIT).await, Err(AtLeastError::Parked { wanted: 1, .. })));
    desk.handler("notebooks").unwrap().pause().await.unwrap();
    until_state(&desk, "notebooks", HandlerState::Paused).await;
    let position = desk.dispatch(note("b", "1")).await.unwrap().position().unwrap();
    let down = soon(notebooks.at_least(position, LIMIT * 2)).await.unwrap_err();
    assert!(matches!(down, AtLeastError::Down { state: HandlerState::Paused, .. }), "{down:?}");
    desk.shutdown().await;
}

/// Rows that were made anew since have what was parked.
#[tokio::test]
async fn what_was_parked_is_not_missing_from_rows_made_anew() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    let notebooks = desk.projection::<Notebooks>().unwrap();
    take_notes(&desk, &[("a", "bad"), ("b", "1")]).await;
    assert!(matches!(notebooks.at_least(1, LIMIT).await, Err(AtLeastError::Parked { .. })));
    faults.mend("bad");
    soon(notebooks.rebuild().await.unwrap().switched()).await.unwrap();
    until(async || notebooks.at_least(1, LIMIT).await.ok()).await;
    assert_eq!(book(&rows, "a"), texts(&["bad"]));
    desk.shutdown().await;
}
