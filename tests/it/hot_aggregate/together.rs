//! What is appended together.

use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::id::{CausationId, CorrelationId};
use cqrs::prelude::*;
use cqrs::store::EventStore as _;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::queue::Busy;
use crate::support::gate::Gate;
use crate::support::log::{sound_log, stream};
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{AddEach, Tally, add, add_each, take};

fn numbers(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

#[tokio::test]
async fn commands_that_wait_are_appended_together_and_answered_after() {
    let chain = Gate::shut();
    let mut busy = Busy::new([Act::HoldBefore(chain.clone())]).await;
    for amount in 2..=10 {
        busy.send(busy.tallies.dispatch(add("1", amount)));
    }
    busy.queued(9).await;
    busy.gate.open();
    chain.arrival().await;
    busy.settle().await;
    assert_eq!(busy.answered(), 1, "nobody hears of what is not stored");
    let state = busy.tallies.aggregate_state::<Tally>("1").await.unwrap();
    assert_eq!((state.version, state.state.total), (1, 1), "nobody sees what is not stored");
    assert_eq!(sound_log(&busy.store).await.len(), 1);

    chain.open();
    let answers = busy.answers().await;
    let told: Vec<_> = answers
        .iter()
        .flatten()
        .map(|answer| (answer.version(), answer.position(), answer.state().total, answer.is_repeated()))
        .collect();
    let expected: Vec<_> = (2..=10).map(|n| (n, Some(n), (1..=n).sum::<u64>(), false)).collect();
    assert_eq!(told, expected);
    assert_eq!(busy.store.calls(), [1, 9]);
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn events_keep_the_ids_and_the_metadata_of_their_own_command() {
    let mut busy = Busy::new([]).await;
    let ids: Vec<_> = (0..4).map(|_| (CorrelationId::new(), CausationId::new())).collect();
    for (number, (correlation_id, causation_id)) in ids.iter().enumerate() {
        let dispatch = busy.tallies.dispatch(add_each("1", &[1, 1])).metadata("number", number);
        busy.send(dispatch.correlation_id(*correlation_id).causation_id(*causation_id));
    }
    busy.queued(4).await;
    let answers = busy.run().await;
    assert_eq!(busy.store.calls(), [1, 4]);
    let log = sound_log(&busy.store).await;
    for (number, ((correlation_id, causation_id), answer)) in ids.iter().zip(&answers[1..]).enumerate() {
        let answer = answer.as_ref().unwrap();
        assert_eq!(answer.version(), 2 * number as u64 + 3);
        for event in &log[2 * number + 1..2 * number + 3] {
            assert_eq!(event.causation_id, CausationId::from(answer.command_id()));
            assert_eq!(event.correlation_id, *correlation_id);
            assert_eq!(event.metadata.command_causation_id(), Some(*causation_id));
            assert_eq!(event.metadata.get("number"), Some(&number.into()));
        }
        let outcome = busy.store.outcome(answer.command_id()).await.unwrap().unwrap();
        assert_eq!((outcome.streams[0].version, outcome.streams[0].events), (answer.version(), 2));
        assert_eq!(Some(outcome.position), answer.position());
    }
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn so_many_commands_are_appended_together_at_most() {
    let mut busy = Busy::new([]).await;
    busy.send_adds(100).await;
    assert_eq!(busy.versions().await, numbers(101));
    assert_eq!(busy.store.calls(), [1, 64, 36]);
    busy.tallies.shutdown().await;

    for (bound, calls) in [(4, vec![1, 4, 4, 2]), (1, vec![1; 11]), (0, vec![1; 11])] {
        let mut busy = Busy::with(Config::new().commands_per_append(bound), []).await;
        busy.send_adds(10).await;
        assert_eq!(busy.versions().await, numbers(11));
        assert_eq!(busy.store.calls(), calls);
        busy.tallies.shutdown().await;
    }
}

#[tokio::test]
async fn so_many_bytes_are_appended_together_about() {
    let mut busy = Busy::new([]).await;
    // An event counts 256 bytes and its payload: two of these are below a mebibyte, three are above.
    let large = AddEach { id: "1".to_owned(), amounts: vec![1; 1_500] };
    for _ in 0..7 {
        busy.send(busy.tallies.dispatch(large.clone()));
    }
    busy.queued(7).await;
    assert_eq!(busy.versions().await.last(), Some(&10_501));
    assert_eq!(busy.store.calls(), [1, 3, 3, 1]);
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn a_version_that_will_be_is_as_expected() {
    let mut busy = Busy::new([]).await;
    busy.send(busy.tallies.dispatch(add("1", 10)).expected_version(1));
    busy.send(busy.tallies.dispatch(take("1", 11)).expected_version(2));
    busy.send(busy.tallies.dispatch(add("1", 5)).expected_version(3));
    busy.queued(3).await;
    assert_eq!(busy.versions().await, numbers(4));
    assert_eq!(busy.store.calls(), [1, 3]);
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn commands_for_other_aggregates_go_their_own_way() {
    let mut busy = Busy::new([]).await;
    busy.send_adds(3).await;
    let other = busy.tallies.dispatch(add("2", 1)).await.unwrap();
    assert_eq!(other.version(), 1);
    assert_eq!(busy.versions().await, numbers(4));
    assert_eq!(busy.store.calls(), [1, 1, 3]);
    sound_log(&busy.store).await;
    busy.tallies.shutdown().await;
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "dial.Turned")]
struct Turned {
    by: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = DialRouter, aggregate = Dial, identify_by = |_| "1")]
struct Turn {
    by: u64,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
struct Dial {
    at: u64,
}

#[aggregate(stream_prefix = "dial", state_stored)]
impl Dial {
    #[execute]
    fn turn(&self, command: &Turn) -> Turned {
        Turned { by: command.by }
    }

    #[apply]
    fn turned(&mut self, event: &Turned) {
        self.at += event.by;
    }
}

#[derive(Router)]
struct DialRouter;

application! {
    struct Dials {
        routers: [DialRouter],
    }
}

// A state each, every one expecting the one before.
#[tokio::test]
async fn stored_states_are_appended_together_as_well() {
    let gate = Gate::shut();
    let store = ScriptedStore::new([Act::HoldBefore(gate.clone())]);
    let dials = Dials::builder(store.clone()).start().await.unwrap();
    let mut callers = JoinSet::new();
    for by in 1..=5 {
        let dials = dials.clone();
        callers.spawn(async move { dials.dispatch(Turn { by }).await.unwrap() });
    }
    gate.arrival().await;
    while dials.live_aggregates()[0].waiting < 4 {
        tokio::task::yield_now().await;
    }
    gate.open();
    let mut told: Vec<_> =
        callers.join_all().await.iter().map(|told| (told.version(), told.state().at)).collect();
    told.sort_unstable();
    assert_eq!(told, [(1, 1), (2, 3), (3, 6), (4, 10), (5, 15)]);
    assert_eq!(store.calls(), [1, 4]);
    dials.shutdown().await;
    let kept = store.stored_state(&stream("dial-1")).await.unwrap().unwrap();
    assert_eq!((kept.version, &kept.data[..]), (5, &br#"{"at":15}"#[..]));
    assert!(sound_log(&store).await.is_empty());
}

// Were they not waited for, half of them would always wait for the other half.
#[tokio::test]
async fn callers_that_are_answered_together_come_together_again() {
    let store = ScriptedStore::slow(MemoryStore::new());
    let tallies = crate::support::tally::tallies(store.clone()).await;
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let tallies = tallies.clone();
        callers.spawn(async move {
            for _ in 0..10 {
                tallies.dispatch(add("1", 1)).await.unwrap();
            }
        });
    }
    callers.join_all().await;
    tallies.shutdown().await;
    let calls = store.calls();
    assert_eq!(calls.iter().sum::<usize>(), 80);
    assert!(calls.len() <= 14, "{calls:?}");
}

// One thread or many, on a store that never waits: the same log.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_commands_at_once_are_each_stored_once() {
    let memory = MemoryStore::new();
    for (round, store) in
        [ScriptedStore::slow(memory.clone()), ScriptedStore::on(memory.clone())].into_iter().enumerate()
    {
        let tallies = crate::support::tally::tallies(store).await;
        let mut callers = JoinSet::new();
        for amount in 0..1_000 {
            let tallies = tallies.clone();
            callers
                .spawn(async move { (tallies.dispatch(add("1", amount)).await.unwrap().version(), amount) });
        }
        let mut told = callers.join_all().await;
        told.sort_unstable();
        let log = sound_log(&memory).await;
        let stored: Vec<_> = log[1_000 * round..]
            .iter()
            .map(|event| {
                let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
                (event.stream_version, data["amount"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(stored, told);
        tallies.shutdown().await;
    }
}
