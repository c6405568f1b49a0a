//! Rows made anew beside those that readers see.

use super::domain::*;
use cqrs::prelude::*;
use cqrs::projection::{GenerationError, GenerationState, RebuildError};

/// N-025, DEF-021, EV-82: a rebuild is made beside the rows that readers see, which go on, and is given to them at
/// once.
#[tokio::test]
async fn ev_082_a_rebuild_replaces_the_rows_at_once() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&desk, &[("a", "1"), ("b", "2")]).await;
    let gate = Gate::shut();
    faults.set("1", Fault::Hold(gate.clone()));
    let notebooks = desk.projection::<Notebooks>().unwrap();
    let rebuild = notebooks.rebuild().await.unwrap();
    soon(gate.arrival()).await;
    // It is under way; the rows that readers see go on.
    take_notes(&desk, &[("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "3"]));
    assert_eq!(
        generations(&rows).await,
        [(1, 1, GenerationState::Active), (2, 1, GenerationState::Building)]
    );
    let progress = rebuild.progress().await.unwrap().unwrap();
    assert_eq!((progress.generation, progress.position, progress.target), (2, 0, 3));
    assert!(progress.fraction() < 0.1);
    assert!(matches!(notebooks.rebuild().await, Err(GenerationError::Building { .. })));
    assert_eq!(notebooks.building().await.unwrap().unwrap().generation(), 2);
    gate.open();
    soon(rebuild.switched()).await.unwrap();
    assert_eq!((book(&rows, "a"), book(&rows, "b")), (texts(&["1", "3"]), texts(&["2"])));
    assert_eq!(generations(&rows).await, [(1, 1, GenerationState::Kept), (2, 1, GenerationState::Active)]);
    assert!(rebuild.progress().await.unwrap().is_none());
    assert!(notebooks.building().await.unwrap().is_none());
    take_notes(&desk, &[("a", "4")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "3", "4"]));
    desk.shutdown().await;
}

/// EV-82: a rebuild while much is written loses nothing and repeats nothing, and readers never see less than before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_082_a_rebuild_under_live_writes_loses_nothing() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    past(&store, 2_000).await;
    let desk = desk(&store, Notebooks::on(&rows)).await;
    until_caught_up(&desk, "notebooks").await;
    let writer = async {
        for number in 2_001..=4_000 {
            desk.dispatch(note(if number % 2 == 1 { "a" } else { "b" }, number.to_string())).await.unwrap();
        }
    };
    let rebuilds = async {
        for _ in 0..3 {
            let rebuild = desk.projection::<Notebooks>().unwrap().rebuild().await.unwrap();
            soon(rebuild.switched()).await.unwrap();
        }
    };
    let reader = async {
        let mut most = 0;
        while most < 2_000 {
            let seen = book(&rows, "a").len();
            assert!(seen >= most, "readers saw {most} notes, and then {seen}");
            most = seen;
            tokio::task::yield_now().await;
        }
    };
    soon(futures_util::future::join3(writer, rebuilds, reader)).await;
    until_caught_up(&desk, "notebooks").await;
    assert_eq!((book(&rows, "a"), book(&rows, "b")), (notes_of("a", 4_000), notes_of("b", 4_000)));
    assert_eq!(generations(&rows).await.len(), 4);
    desk.shutdown().await;
}

/// A rebuild that is interrupted goes on where it was.
#[tokio::test]
async fn a_rebuild_goes_on_after_a_restart() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    past(&store, 3_000).await;
    let notebooks = Notebooks::on(&rows).with_faults(&faults);
    let first = desk(&store, notebooks.clone()).await;
    until_caught_up(&first, "notebooks").await;
    let gate = Gate::shut();
    faults.set("2500", Fault::Hold(gate.clone()));
    first.projection::<Notebooks>().unwrap().rebuild().await.unwrap();
    soon(gate.arrival()).await;
    let report = first.shutdown_within(std::time::Duration::from_millis(200)).await;
    assert_eq!(report.unfinished_handlers, ["notebooks/build"]);
    assert_eq!(book(&rows, "a"), notes_of("a", 3_000), "what readers see is as it was");
    let begun = rows_position(&rows, 2).await;
    assert!((1..2_500).contains(&begun), "{begun}");
    faults.mend("2500");
    let before = notebooks.rows.commits().len();
    let second = desk(&store, notebooks.clone()).await;
    let rebuild = second.projection::<Notebooks>().unwrap().building().await.unwrap();
    if let Some(rebuild) = rebuild {
        soon(rebuild.switched()).await.unwrap();
    }
    until_active(&rows, 2).await;
    let again = notebooks.rows.commits()[before..].to_vec();
    assert!(again.iter().all(|position| *position > begun), "nothing is made twice: {again:?}");
    assert_eq!((book(&rows, "a"), book(&rows, "b")), (notes_of("a", 3_000), notes_of("b", 3_000)));
    second.shutdown().await;
}

async fn rows_position(rows: &Books, generation: u64) -> u64 {
    use cqrs::projection::RowStore as _;
    let all = rows.generations("notebooks").await.unwrap();
    all.iter().find(|one| one.number == generation).unwrap().position
}

/// A rebuild that is discarded is told so, and leaves the rows that readers see.
#[tokio::test]
async fn a_rebuild_is_discarded() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&desk, &[("a", "1")]).await;
    let gate = Gate::shut();
    faults.set("1", Fault::Hold(gate.clone()));
    let notebooks = desk.projection::<Notebooks>().unwrap();
    let rebuild = notebooks.rebuild().await.unwrap();
    soon(gate.arrival()).await;
    notebooks.discard(2).await.unwrap();
    gate.open();
    let discarded = soon(rebuild.switched()).await;
    assert!(matches!(discarded, Err(RebuildError::Discarded { generation: 2, .. })), "{discarded:?}");
    assert_eq!(generations(&rows).await, [(1, 1, GenerationState::Active)]);
    assert!(matches!(
        notebooks.discard(1).await,
        Err(GenerationError::NoSuchGeneration { generation: 1, .. })
    ));
    // The next one has a number of its own.
    soon(notebooks.rebuild().await.unwrap().switched()).await.unwrap();
    assert_eq!(generations(&rows).await, [(1, 1, GenerationState::Kept), (3, 1, GenerationState::Active)]);
    take_notes(&desk, &[("a", "2")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    desk.shutdown().await;
}

/// Events that fail in a rebuild are parked with it, and waited for once readers see it.
#[tokio::test]
async fn what_fails_in_a_rebuild_is_parked_with_it() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&desk, &[("a", "1"), ("a", "2"), ("b", "3")]).await;
    faults.set("2", Fault::Fail);
    let notebooks = desk.projection::<Notebooks>().unwrap();
    soon(notebooks.rebuild().await.unwrap().switched()).await.unwrap();
    assert_eq!((book(&rows, "a"), book(&rows, "b")), (texts(&["1"]), texts(&["3"])));
    until(async || (status(&desk, "notebooks").await.parked == 1).then_some(())).await;
    faults.mend("2");
    let handle = desk.handler("notebooks").unwrap();
    until(async || handle.retry_parked("book-a").await.ok()).await;
    until(async || (status(&desk, "notebooks").await.parked == 0).then_some(())).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    desk.shutdown().await;
}

/// A rebuild heals rows that were made by wrong code: what it parked before is parked no more.
#[tokio::test]
async fn a_rebuild_forgets_what_was_parked() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("2", Fault::Fail));
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&desk, &[("a", "1"), ("a", "2"), ("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1"]));
    faults.mend("2");
    soon(desk.projection::<Notebooks>().unwrap().rebuild().await.unwrap().switched()).await.unwrap();
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    until(async || (status(&desk, "notebooks").await.parked == 0).then_some(())).await;
    take_notes(&desk, &[("a", "4")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3", "4"]));
    assert!(desk.handler("notebooks").unwrap().parked(None, 10).await.unwrap().is_empty());
    desk.shutdown().await;
}

/// Another node of the same version builds as well as the one that runs the projection.
#[tokio::test]
async fn a_rebuild_is_asked_for_on_any_node() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let first = node("first", &store, Notebooks::on(&rows)).await;
    let second = node("second", &store, Notebooks::on(&rows)).await;
    take_notes(&first, &[("a", "1")]).await;
    soon(second.projection::<Notebooks>().unwrap().rebuild().await.unwrap().switched()).await.unwrap();
    take_notes(&second, &[("a", "2")]).await;
    take_notes(&first, &[("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    first.shutdown().await;
    second.shutdown().await;
}

/// A rebuild that stops at an event is told so; readers keep what they see, and the next start goes on.
#[tokio::test]
async fn a_rebuild_that_gives_up_is_told() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    let stopping = Notebooks { action: Some(ErrorAction::Stop), ..Notebooks::on(&rows).with_faults(&faults) };
    let first = desk(&store, stopping.clone()).await;
    take_notes(&first, &[("a", "1"), ("a", "2")]).await;
    faults.set("2", Fault::Fail);
    let rebuild = first.projection::<Notebooks>().unwrap().rebuild().await.unwrap();
    let failed = soon(rebuild.switched()).await.unwrap_err();
    assert!(matches!(failed, RebuildError::Failed { generation: 2, .. }), "{failed:?}");
    assert!(failed.to_string().contains("on purpose"), "{failed}");
    take_notes(&first, &[("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    first.shutdown().await;
    faults.mend("2");
    let second = desk(&store, stopping).await;
    until_active(&rows, 2).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    second.shutdown().await;
}
