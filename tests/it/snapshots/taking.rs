use cqrs::MemoryStore;

use super::domain::{Fault, Snapshots, every_1, every_3, every_5, every_10, every_none, never};
use crate::support::gate::Gate;
use crate::support::store::{Act, ScriptedStore};

/// With so many events a command, the program must take snapshots at these versions.
macro_rules! check {
    ($program:ident, $commands:expr, $versions:expr) => {
        let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
        let garden = $program::garden(&store, &snapshots).await;
        for by in $commands {
            garden.dispatch($program::grow(by)).await.unwrap();
        }
        assert!(garden.shutdown().await.is_clean());
        assert_eq!(snapshots.came(), $versions);
    };
}

// T-185
#[tokio::test]
async fn t_185_no_snapshots_unless_asked_for() {
    check!(never, [100], [0; 0]);
    check!(every_none, [100, 1], [0; 0]);
}

#[tokio::test]
async fn t_186_a_snapshot_when_so_many_events_have_come_since_the_last() {
    check!(every_10, [9], [0; 0]);
    check!(every_10, [10], [10]);
    check!(every_10, [11], [11]);
    check!(every_10, [10, 1], [10]);
    check!(every_10, [10, 1, 10], [10, 21]);
}

// N-037: commands that are appended together are counted one by one.
#[tokio::test]
async fn n_037_commands_that_are_appended_together_are_counted_one_by_one() {
    let (gate, snapshots) = (Gate::shut(), Snapshots::new());
    let store = ScriptedStore::new([Act::HoldBefore(gate.clone())]);
    let builder = every_3::Garden::builder(store.clone()).snapshots(snapshots.clone());
    let garden = builder.start().await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let garden = garden.clone();
        callers.spawn(async move { garden.dispatch(every_3::grow(1)).await.unwrap() });
    }
    gate.arrival().await;
    while garden.live_aggregates()[0].waiting < 7 {
        tokio::task::yield_now().await;
    }
    gate.open();
    callers.join_all().await;
    assert!(garden.shutdown().await.is_clean());
    assert_eq!(store.calls(), [1, 7]);
    let mut came = snapshots.came();
    came.sort_unstable();
    assert_eq!(came, [3, 6]);
}

// N-037, DEF-C4
#[tokio::test]
async fn n_037_batches_that_miss_the_multiples_are_counted() {
    check!(every_10, [3; 9], [12, 24]);
}

#[tokio::test]
async fn c_029_an_interval_of_three() {
    check!(every_3, [1; 6], [3, 6]);
}

#[tokio::test]
async fn w_003_a_period_of_five() {
    check!(every_5, [1; 32], [5, 10, 15, 20, 25, 30]);
}

// W-004
#[tokio::test]
async fn w_004_a_period_of_one_is_every_state() {
    check!(every_1, [1; 4], [1, 2, 3, 4]);
}

// T-186: what is in a snapshot.
#[tokio::test]
async fn t_186_a_snapshot_says_what_it_is() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = every_10::garden(&store, &snapshots).await;
    garden.dispatch(every_10::grow(12)).await.unwrap();
    garden.shutdown().await;
    let kept = snapshots.kept().await.unwrap();
    assert_eq!((kept.version, kept.schema_version, kept.state_type.as_str()), (12, 1, "Plant"));
    assert_eq!(kept.data, r#"{"height":12}"#);
}

// A command without events, or a refused one, takes none.
#[tokio::test]
async fn only_events_lead_to_snapshots() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = every_3::garden(&store, &snapshots).await;
    garden.dispatch(every_3::grow(2)).await.unwrap();
    garden.dispatch(every_3::grow(0)).await.unwrap();
    garden.dispatch(every_3::Grow { id: 1, by: 1, in_winter: true }).await.unwrap_err();
    garden.shutdown().await;
    assert!(snapshots.came().is_empty());
}

// T-190, L-001: where the last snapshot was is known after a restart.
#[tokio::test]
async fn t_190_a_restart_takes_no_snapshot_by_itself() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = every_10::garden(&store, &snapshots).await;
    garden.dispatch(every_10::grow(15)).await.unwrap();
    garden.dispatch(every_10::grow(1)).await.unwrap();
    garden.shutdown().await;
    let garden = every_10::garden(&store, &snapshots).await;
    garden.dispatch(every_10::Grow { id: 1, by: 1, in_winter: true }).await.unwrap_err();
    assert_eq!(garden.dispatch(every_10::grow(8)).await.unwrap().version(), 24);
    garden.shutdown().await;
    assert_eq!(snapshots.came(), [15]);
    let garden = every_10::garden(&store, &snapshots).await;
    garden.dispatch(every_10::grow(1)).await.unwrap();
    garden.shutdown().await;
    assert_eq!(snapshots.came(), [15, 25]);
}

// A snapshot that takes long holds nobody up, and an older one never replaces a newer one.
#[tokio::test]
async fn a_slow_snapshot_delays_no_command() {
    let gate = Gate::shut();
    let (store, snapshots) = (MemoryStore::new(), Snapshots::failing(Fault::Hold(gate.clone()), Fault::None));
    let garden = every_1::garden(&store, &snapshots).await;
    for version in 1..=20 {
        assert_eq!(garden.dispatch(every_1::grow(1)).await.unwrap().version(), version);
    }
    // Sixteen are written at a time; the others were put off to a later command.
    snapshots.wait_for(16).await;
    assert_eq!(snapshots.came(), Vec::from_iter(1..=16));
    gate.open();
    garden.shutdown().await;
    assert_eq!(snapshots.came().len(), 16);
    assert_eq!(snapshots.kept().await.unwrap().version, 16);
}
