use cqrs::MemoryStore;
use cqrs::dispatch::Dispatched;
use cqrs::id::CommandId;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use tokio::task::JoinSet;

use crate::support::log::{events_of, sound_log};
use crate::support::store::ScriptedStore;
use crate::support::tally::{Tally, add, add_each, look, node, take, tallies};

/// The second answer must be the first one.
fn same(first: &Dispatched<Tally>, second: &Dispatched<Tally>) {
    assert_eq!((first.is_repeated(), second.is_repeated()), (false, true));
    assert_eq!(first.version(), second.version());
    assert_eq!(first.position(), second.position());
    assert_eq!(first.events(), second.events());
    assert_eq!(first.state(), second.state());
    assert_eq!(first.stream_id(), second.stream_id());
}

// E-015, E-016, N-012, DEF-010
#[tokio::test]
async fn e_016_a_key_is_executed_once_and_gives_its_first_answer() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let first = tallies.dispatch(add_each("1", &[1, 2])).idempotency_key("k").await.unwrap();
    // What happens in between does not change the answer.
    tallies.dispatch(add("1", 50)).await.unwrap();
    let second = tallies.dispatch(add_each("1", &[1, 2])).idempotency_key("k").await.unwrap();
    same(&first, &second);
    assert_eq!((second.version(), second.state().total), (2, 3));
    assert_eq!(sound_log(&store).await.len(), 3);
    tallies.shutdown().await;
}

// E-018, E-019, E-020, E-021, E-001
#[tokio::test]
async fn e_021_the_key_counts_else_the_commands_id() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let add = || tallies.dispatch(add("1", 1));
    // Different keys, and no keys: each is executed.
    let one = add().idempotency_key("one").await.unwrap();
    let two = add().idempotency_key("two").await.unwrap();
    let (three, four) = (add().await.unwrap(), add().await.unwrap());
    assert_eq!([&one, &two, &three, &four].map(Dispatched::version), [1, 2, 3, 4]);
    assert_ne!(three.command_id(), four.command_id());
    // One key under different ids, and one id without a key: executed once.
    let (a, b) = (CommandId::new(), CommandId::new());
    let under_a = add().idempotency_key("three").command_id(a).await.unwrap();
    let under_b = add().idempotency_key("three").command_id(b).await.unwrap();
    same(&under_a, &under_b);
    assert_eq!((under_a.command_id(), under_b.command_id()), (a, b));
    let c = CommandId::new();
    let by_id = add().command_id(c).await.unwrap();
    same(&by_id, &add().command_id(c).await.unwrap());
    // One id under different keys is two commands.
    assert!(!add().idempotency_key("four").command_id(c).await.unwrap().is_repeated());
    assert_eq!(sound_log(&store).await.len(), 7);
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_command_without_events_is_remembered_as_well() {
    let tallies = tallies(MemoryStore::new()).await;
    let first = tallies.dispatch(look("1")).idempotency_key("k").await.unwrap();
    tallies.dispatch(add("1", 1)).await.unwrap();
    same(&first, &tallies.dispatch(look("1")).idempotency_key("k").await.unwrap());
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_refused_command_may_come_again() {
    let tallies = tallies(MemoryStore::new()).await;
    let take = || tallies.dispatch(take("1", 5)).idempotency_key("k");
    assert_eq!(take().await.unwrap_err().kind(), FailureKind::Rejected);
    tallies.dispatch(add("1", 5)).await.unwrap();
    let accepted = take().await.unwrap();
    assert_eq!((accepted.is_repeated(), accepted.version()), (false, 2));
    same(&accepted, &take().await.unwrap());
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_repetition_is_answered_whatever_version_it_expects() {
    let tallies = tallies(MemoryStore::new()).await;
    let add = || tallies.dispatch(add("1", 5)).idempotency_key("k").expected_version(0);
    same(&add().await.unwrap(), &add().await.unwrap());
    tallies.shutdown().await;
}

// An id may not stand for two aggregates.
#[tokio::test]
async fn an_id_that_was_used_for_another_aggregate_is_refused() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let id = CommandId::new();
    tallies.dispatch(add("1", 1)).command_id(id).await.unwrap();
    let error = tallies.dispatch(add("2", 1)).command_id(id).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Invalid);
    let DispatchError::IdReused { command_id, stream_id, first } = error else {
        panic!("{error:?}");
    };
    assert_eq!((command_id, stream_id.as_str(), first.as_str()), (id, "tally-2", "tally-1"));
    assert_eq!(sound_log(&store).await.len(), 1);
    tallies.shutdown().await;
}

// N-013, DEF-011
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn n_013_concurrent_dispatches_of_one_key_write_once_and_agree() {
    let store = MemoryStore::new();
    let slow = || ScriptedStore::slow(store.clone());
    let (one, two) = (tallies(slow()).await, node(slow(), "b").await);
    let mut dispatches = JoinSet::new();
    for index in 0..20 {
        let tallies = if index % 2 == 0 { one.clone() } else { two.clone() };
        dispatches.spawn(async move { tallies.dispatch(add("1", 7)).idempotency_key("k").await.unwrap() });
    }
    let answers = dispatches.join_all().await;
    assert_eq!(events_of(&store, "tally-1").await.len(), 1);
    assert_eq!(answers.iter().filter(|answer| !answer.is_repeated()).count(), 1);
    for answer in &answers {
        assert_eq!((answer.version(), answer.position(), answer.state().total), (1, Some(1), 7));
        assert_eq!(answer.events(), answers[0].events());
    }
    one.shutdown().await;
    two.shutdown().await;
}

// N-014
#[tokio::test]
async fn n_014_a_key_holds_on_a_second_node_and_after_a_restart() {
    let store = MemoryStore::new();
    let one = tallies(store.clone()).await;
    let two = node(store.clone(), "b").await;
    let first = one.dispatch(add("1", 1)).idempotency_key("k").await.unwrap();
    same(&first, &two.dispatch(add("1", 1)).idempotency_key("k").await.unwrap());
    one.shutdown().await;
    let restarted = tallies(store.clone()).await;
    same(&first, &restarted.dispatch(add("1", 1)).idempotency_key("k").await.unwrap());
    assert_eq!(sound_log(&store).await.len(), 1);
    restarted.shutdown().await;
    two.shutdown().await;
}
