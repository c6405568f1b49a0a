// N-028, F-090
use cqrs::MemoryStore;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;

use crate::support::log::{append_to, sound_log, write};
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{Tallies, add, added, look, take, tallies};

/// The dispatch must find the version wrong.
macro_rules! refused {
    ($dispatch:expr, $wanted:expr, $found:expr) => {
        let error = $dispatch.await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Conflict);
        assert!(error.is_conflict());
        match error {
            DispatchError::WrongExpectedVersion { stream_id, expected, actual, .. } => {
                assert_eq!((stream_id.as_str(), expected, actual), ("tally-1", $wanted, $found));
            }
            other => panic!("{other:?}"),
        }
    };
}

async fn at_two(store: MemoryStore) -> Tallies {
    let tallies = tallies(store).await;
    tallies.dispatch(add("1", 5)).expected_version(0).await.unwrap();
    tallies.dispatch(add("1", 5)).expected_version(1).await.unwrap();
    tallies
}

#[tokio::test]
async fn n_028_a_command_runs_at_the_expected_version_only() {
    let store = MemoryStore::new();
    let tallies = at_two(store.clone()).await;
    for wrong in [0, 1, 3] {
        refused!(tallies.dispatch(add("1", 1)).expected_version(wrong), wrong, 2);
    }
    assert_eq!(tallies.dispatch(add("1", 1)).expected_version(2).await.unwrap().version(), 3);
    assert_eq!(sound_log(&store).await.len(), 3);
    tallies.shutdown().await;
}

#[tokio::test]
async fn n_028_it_also_holds_for_refusals_and_for_commands_without_events() {
    let store = MemoryStore::new();
    let tallies = at_two(store).await;
    refused!(tallies.dispatch(look("1")).expected_version(1), 1, 2);
    refused!(tallies.dispatch(take("1", 100)).expected_version(1), 1, 2);
    tallies.dispatch(look("1")).expected_version(2).await.unwrap();
    tallies.shutdown().await;
}

#[tokio::test]
async fn n_028_what_another_node_wrote_counts() {
    let store = MemoryStore::new();
    let tallies = at_two(store.clone()).await;
    write(&store, "tally-1", vec![added(1)]).await;
    refused!(tallies.dispatch(add("1", 1)).expected_version(2), 2, 3);
    write(&store, "tally-1", vec![added(1)]).await;
    assert_eq!(tallies.dispatch(add("1", 1)).expected_version(4).await.unwrap().version(), 5);
    tallies.shutdown().await;
}

#[tokio::test]
async fn n_028_a_command_with_an_expected_version_is_not_run_again_after_a_conflict() {
    let store = ScriptedStore::new([Act::After(append_to("tally-1", vec![added(1)]))]);
    let tallies = tallies(store.clone()).await;
    refused!(tallies.dispatch(add("1", 1)).expected_version(0), 0, 1);
    assert_eq!(store.appends(), 1);
    assert_eq!(sound_log(&store).await.len(), 1);
    tallies.shutdown().await;
}
