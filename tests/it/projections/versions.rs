//! New versions beside old ones, and the way back.

use super::domain::*;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::projection::{AtLeastError, GenerationError, GenerationState};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// A program with a new version builds its rows beside the old ones; readers see those until the new ones are there.
#[tokio::test]
async fn a_new_version_is_built_beside_the_old_one() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let old = desk(&store, Notebooks::on(&rows)).await;
    take_notes(&old, &[("a", "x"), ("a", "y")]).await;
    old.shutdown().await;
    let (gate, loud) = (Gate::shut(), LoudNotebooks::on(&rows));
    loud.faults.set("y", Fault::Hold(gate.clone()));
    let new = desk(&store, loud).await;
    soon(gate.arrival()).await;
    assert_eq!(book(&rows, "a"), texts(&["x", "y"]), "the old rows are there meanwhile");
    assert_eq!(status(&new, "notebooks").await.state, HandlerState::Passive);
    let building = new.projection::<LoudNotebooks>().unwrap().building().await.unwrap().unwrap();
    gate.open();
    soon(building.switched()).await.unwrap();
    assert_eq!(book(&rows, "a"), texts(&["X", "Y"]));
    take_notes(&new, &[("a", "z")]).await;
    assert_eq!(book(&rows, "a"), texts(&["X", "Y", "Z"]));
    assert_eq!(generations(&rows).await, [(1, 1, GenerationState::Kept), (2, 2, GenerationState::Active)]);
    new.shutdown().await;
}

/// A rolling deployment: as long as a node runs the old code, the old rows go on; after the switch the new code does, and
/// the old node leaves them alone.
#[tokio::test]
async fn old_rows_go_on_as_long_as_an_old_node_runs() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let old = node("old", &store, Notebooks::on(&rows)).await;
    take_notes(&old, &[("a", "x")]).await;
    let (gate, loud) = (Gate::shut(), LoudNotebooks::on(&rows));
    loud.faults.set("x", Fault::Hold(gate.clone()));
    let new = node("new", &store, loud).await;
    soon(gate.arrival()).await;
    take_notes(&old, &[("a", "y")]).await;
    // What readers see is waited for on the new node, too.
    take_notes(&new, &[("a", "z")]).await;
    assert_eq!(book(&rows, "a"), texts(&["x", "y", "z"]));
    gate.open();
    until_active(&rows, 2).await;
    take_notes(&new, &[("a", "u")]).await;
    take_notes(&old, &[("a", "v")]).await;
    assert_eq!(book(&rows, "a"), texts(&["X", "Y", "Z", "U", "V"]));
    assert_eq!(status(&old, "notebooks").await.state, HandlerState::Passive);
    old.shutdown().await;
    new.shutdown().await;
}

/// The way back: the old rows are there at once, as they were, and go on where old code runs.
#[tokio::test]
async fn readers_are_given_back_what_they_saw_before() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let old = node("old", &store, Notebooks::on(&rows)).await;
    take_notes(&old, &[("a", "x")]).await;
    let new = node("new", &store, LoudNotebooks::on(&rows)).await;
    until_active(&rows, 2).await;
    take_notes(&new, &[("a", "y")]).await;
    assert_eq!(book(&rows, "a"), texts(&["X", "Y"]));
    let loud = new.projection::<LoudNotebooks>().unwrap();
    assert_eq!(loud.roll_back().await.unwrap(), 1);
    assert_eq!(
        generations(&rows).await,
        [(1, 1, GenerationState::Active), (2, 2, GenerationState::RolledBack)]
    );
    until(async || (book(&rows, "a") == texts(&["x", "y"])).then_some(())).await;
    take_notes(&old, &[("a", "z")]).await;
    assert_eq!(book(&rows, "a"), texts(&["x", "y", "z"]), "the old code makes up for what it missed");
    assert!(matches!(loud.roll_back().await, Err(GenerationError::NothingKept { .. })));
    // It is not built again by itself, and when somebody asks for it, it is.
    assert_eq!(generations(&rows).await.len(), 2);
    soon(loud.rebuild().await.unwrap().switched()).await.unwrap();
    until(async || (book(&rows, "a") == texts(&["X", "Y", "Z"])).then_some(())).await;
    let quiet = old.projection::<Notebooks>().unwrap();
    assert!(matches!(quiet.rebuild().await, Err(GenerationError::Newer { active: 2, own: 1, .. })));
    for old in [1, 2] {
        loud.discard(old).await.unwrap();
    }
    assert_eq!(generations(&rows).await, [(3, 2, GenerationState::Active)]);
    old.shutdown().await;
    new.shutdown().await;
}

/// Rows that readers were given back are as far as they were then, whatever the node has made of others.
#[tokio::test(start_paused = true)]
async fn what_the_rows_from_before_lack_is_not_taken_for_there() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let old = node("old", &store, Notebooks::on(&rows)).await;
    take_notes(&old, &[("a", "x")]).await;
    old.shutdown().await;
    let new = node("new", &store, LoudNotebooks::on(&rows)).await;
    until_active(&rows, 2).await;
    take_notes(&new, &[("a", "y")]).await;
    let loud = new.projection::<LoudNotebooks>().unwrap();
    loud.at_least(2, LIMIT).await.unwrap();
    assert_eq!(loud.roll_back().await.unwrap(), 1);
    // As soon as the node has heard of it.
    until(async || loud.at_least(2, SECOND).await.err()).await;
    let late = loud.at_least(2, LIMIT).await;
    assert!(matches!(late, Err(AtLeastError::TimedOut { wanted: 2, .. })), "{late:?}");
    let old = node("old", &store, Notebooks::on(&rows)).await;
    loud.at_least(2, LIMIT).await.unwrap();
    assert_eq!(book(&rows, "a"), texts(&["x", "y"]));
    old.shutdown().await;
    new.shutdown().await;
}

/// A rebuild of the same version can be undone, too: the rows from before it make up for what they missed.
#[tokio::test]
async fn a_rebuild_is_rolled_back() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let desk = desk(&store, Notebooks::on(&rows)).await;
    take_notes(&desk, &[("a", "1")]).await;
    let notebooks = desk.projection::<Notebooks>().unwrap();
    soon(notebooks.rebuild().await.unwrap().switched()).await.unwrap();
    take_notes(&desk, &[("a", "2")]).await;
    assert_eq!(notebooks.roll_back().await.unwrap(), 1);
    until(async || (book(&rows, "a") == texts(&["1", "2"])).then_some(())).await;
    take_notes(&desk, &[("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    desk.shutdown().await;
}

/// A program with an old version leaves rows of a new one alone.
#[tokio::test]
async fn old_code_does_not_write_to_new_rows() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let new = desk(&store, LoudNotebooks::on(&rows)).await;
    take_notes(&new, &[("a", "x")]).await;
    new.shutdown().await;
    let old = desk(&store, Notebooks::on(&rows)).await;
    until_state(&old, "notebooks", HandlerState::Passive).await;
    old.dispatch(note("a", "y")).await.unwrap();
    assert_eq!(generations(&rows).await, [(1, 2, GenerationState::Active)]);
    assert_eq!(book(&rows, "a"), texts(&["X"]));
    old.shutdown().await;
    let new = desk(&store, LoudNotebooks::on(&rows)).await;
    take_notes(&new, &[("a", "z")]).await;
    assert_eq!(book(&rows, "a"), texts(&["X", "Y", "Z"]));
    new.shutdown().await;
}
