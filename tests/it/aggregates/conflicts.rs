//! Other writers.

use cqrs::MemoryStore;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use tokio::task::JoinSet;

use crate::support::log::{append_to, events_of, sound_log, write};
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{Taken, Tally, TallyEvent, add, added, look, node, take, tallies};

/// Another writer is first at the next append.
fn overtaken(amount: u64) -> Act {
    Act::After(append_to("tally-1", vec![added(amount)]))
}

#[tokio::test]
async fn t_160_a_conflict_reads_what_is_new_and_decides_again() {
    let store = ScriptedStore::default();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("1", 1)).await.unwrap();
    store.then([overtaken(10)]);
    let dispatched = tallies.dispatch(take("1", 1)).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().total), (3, 10));
    assert_eq!(dispatched.events(), [TallyEvent::from(Taken { amount: 1 })]);
    assert_eq!(store.appends(), 3);
    sound_log(&store).await;
    tallies.shutdown().await;
}

// DEF-C3: a stale writer neither crashes nor passes.
#[tokio::test]
async fn a_conflict_may_turn_a_decision_into_a_refusal_and_a_refusal_into_a_decision() {
    let store = ScriptedStore::default();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("1", 5)).await.unwrap();
    let taken = crate::support::log::raw("tally.Taken", 1, &serde_json::json!({ "amount": 3 }));
    store.then([Act::After(append_to("tally-1", vec![taken]))]);
    let error = tallies.dispatch(take("1", 5)).await.unwrap_err();
    assert_eq!(error.rejection().unwrap().total, 2);
    // And a refusal is never based on a stale state.
    write(&store, "tally-1", vec![added(10)]).await;
    assert_eq!(tallies.dispatch(take("1", 12)).await.unwrap().state().total, 0);
    tallies.shutdown().await;
}

// N-010, DEF-008, E-030, E-031: a budget of n allows n + 1 executions.
#[tokio::test(start_paused = true)]
async fn n_010_all_retry_budgets_behave() {
    for budget in [0, 1, 3, 5, 50] {
        let store = ScriptedStore::new((0..=budget).map(|_| overtaken(1)));
        let tallies = tallies(store.clone()).await;
        let error = tallies.dispatch(add("1", 1)).retry_attempts(budget).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Conflict);
        match error {
            DispatchError::TooManyAttempts { stream_id, attempts, .. } => {
                assert_eq!((stream_id.as_str(), attempts), ("tally-1", budget + 1));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(events_of(&store, "tally-1").await.len(), budget as usize + 1, "the others' events alone");
        // One conflict less than that is survived.
        store.then((0..budget).map(|_| overtaken(1)));
        let dispatched = tallies.dispatch(add("1", 1)).retry_attempts(budget).await.unwrap();
        assert_eq!(dispatched.version(), u64::from(2 * budget) + 2);
        tallies.shutdown().await;
    }
}

// A conflict before the timeout is not an unknown outcome: nothing was written.
#[tokio::test(start_paused = true)]
async fn a_command_that_always_comes_second_did_not_run() {
    let store = ScriptedStore::new((0..10_000).map(|_| overtaken(1)));
    let tallies = tallies(store.clone()).await;
    let dispatch = tallies.dispatch(add("1", 1)).retry_attempts(u32::MAX);
    let error = dispatch.timeout(std::time::Duration::from_millis(500)).await.unwrap_err();
    assert!(!error.is_outcome_unknown(), "{error:?}");
    assert_eq!(error.kind(), FailureKind::Timeout);
    tallies.shutdown().await;
    assert_eq!(store.appends(), events_of(&store, "tally-1").await.len());
}

// T-162, G3
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t_162_two_nodes_race_a_thousand_commands() {
    let store = MemoryStore::new();
    let slow = || ScriptedStore::slow(store.clone());
    let nodes = [tallies(slow()).await, node(slow(), "b").await];
    let mut dispatches = JoinSet::new();
    for amount in 0..1_000_u64 {
        let node = nodes[usize::from(amount % 2 == 0)].clone();
        dispatches.spawn(async move {
            // Unique amounts tell which command an event is of.
            let dispatch = node.dispatch(add("1", amount)).retry_attempts(1_000).no_timeout();
            dispatch.await.map(|dispatched| (amount, dispatched.version()))
        });
    }
    let mut versions = Vec::new();
    for result in dispatches.join_all().await {
        versions.push(result.unwrap());
    }
    versions.sort_unstable_by_key(|(_, version)| *version);
    let log = sound_log(&store).await;
    let stored: Vec<_> = log
        .iter()
        .map(|event| {
            let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
            (data["amount"].as_u64().unwrap(), event.stream_version)
        })
        .collect();
    assert_eq!(stored, versions, "every success once, at the version that it was told");
    for node in nodes {
        let state = node.aggregate_state::<Tally>("1").await.unwrap();
        assert_eq!((state.version, state.state.total), (1_000, 999 * 1_000 / 2));
        assert_eq!(node.dispatch(look("1")).await.unwrap().version(), 1_000);
        node.shutdown().await;
    }
}
