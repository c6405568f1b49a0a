use cqrs::MemoryStore;

use super::domain::{FORGED, Snapshots, every_10, every_none, never, second_version};

/// A stream of so many events, and a forged snapshot at that version.
async fn planted(events: u64, snapshot: Option<u64>) -> (MemoryStore, Snapshots) {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = never::garden(&store, &snapshots).await;
    garden.dispatch(never::grow(events)).await.unwrap();
    garden.shutdown().await;
    if let Some(version) = snapshot {
        snapshots.forge(version).await;
    }
    (store, snapshots)
}

/// The program must find the plant at this height, at version `$events`, by looking and by a command.
macro_rules! check {
    ($program:ident, $events:expr, $snapshot:expr, $height:expr) => {
        let (store, snapshots) = planted($events, $snapshot).await;
        let garden = $program::garden(&store, &snapshots).await;
        let seen = garden.aggregate_state::<$program::Plant>(1).await.unwrap();
        assert_eq!((seen.version, seen.state.height), ($events, $height));
        let dispatched = garden.dispatch($program::grow(1)).expected_version($events).await.unwrap();
        assert_eq!((dispatched.version(), dispatched.state().height), ($events + 1, $height + 1));
        garden.shutdown().await;
    };
}

// T-187, T-180, W-007
#[tokio::test]
async fn w_007_without_a_snapshot_all_events_count_the_first_included() {
    check!(every_10, 5, None, 5);
    check!(every_10, 1, None, 1);
}

// T-187, T-180, C-030, W-005
#[tokio::test]
async fn t_187_a_snapshot_and_the_events_since() {
    check!(every_10, 5, Some(2), FORGED + 3);
    check!(every_10, 4, Some(2), FORGED + 2);
    check!(every_10, 2, Some(2), FORGED);
}

// N-003, DEF-003: its own event is not applied again.
#[tokio::test]
async fn n_003_a_snapshot_at_nine_of_ten() {
    check!(every_10, 10, Some(9), FORGED + 1);
}

// W-009
#[tokio::test]
async fn w_009_a_snapshot_at_the_boundary_of_a_page() {
    check!(every_10, 1_000, Some(1_000), FORGED);
    check!(every_10, 2_001, Some(1_000), FORGED + 1_001);
    check!(every_10, 1_001, Some(1_000), FORGED + 1);
}

// T-185: a program without snapshots ignores those that are there.
#[tokio::test]
async fn t_185_a_program_without_snapshots_looks_at_none() {
    check!(never, 5, Some(2), 5);
    check!(every_none, 5, Some(2), 5);
}

// T-188
#[tokio::test]
async fn t_188_a_snapshot_of_another_schema_version_is_ignored() {
    check!(second_version, 5, Some(2), 5);
    // And one of a newer program.
    let (store, snapshots) = planted(5, None).await;
    snapshots.forge_with(2, |snapshot| snapshot.schema_version = 9).await;
    let garden = every_10::garden(&store, &snapshots).await;
    assert_eq!(garden.aggregate_state::<every_10::Plant>(1).await.unwrap().state.height, 5);
    garden.shutdown().await;
}

// T-188: the next one that is due takes its place.
#[tokio::test]
async fn t_188_it_is_replaced_when_the_next_is_due() {
    let (store, snapshots) = planted(15, Some(12)).await;
    let garden = second_version::garden(&store, &snapshots).await;
    garden.dispatch(second_version::grow(1)).await.unwrap();
    garden.shutdown().await;
    let kept = snapshots.kept().await.unwrap();
    assert_eq!((kept.version, kept.schema_version), (16, 2));
}

#[tokio::test]
async fn a_snapshot_of_another_type_is_ignored() {
    let (store, snapshots) = planted(5, None).await;
    snapshots.forge_with(2, |snapshot| snapshot.state_type = "Stone".to_owned()).await;
    let garden = every_10::garden(&store, &snapshots).await;
    assert_eq!(garden.aggregate_state::<every_10::Plant>(1).await.unwrap().state.height, 5);
    garden.shutdown().await;
}

// E-028: what was saved is what comes back.
#[tokio::test]
async fn e_028_a_restored_state_is_the_one_that_was_saved() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = every_10::garden(&store, &snapshots).await;
    let live = garden.dispatch(every_10::grow(10)).await.unwrap();
    garden.shutdown().await;
    assert_eq!(snapshots.kept().await.unwrap().version, 10);
    let garden = every_10::garden(&store, &snapshots).await;
    let restored = garden.aggregate_state::<every_10::Plant>(1).await.unwrap();
    assert_eq!((restored.version, &restored.state), (10, live.state()));
    garden.shutdown().await;
}
