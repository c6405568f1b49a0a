//! What is confirmed is behind the publisher, and what is not comes again under the same ids.

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::publisher::BatchLimits;
use cqrs::store::CheckpointStore as _;

#[tokio::test(start_paused = true)]
async fn batches_are_bounded_by_count() {
    let store = MemoryStore::new();
    noted(&store, &["a:1", "b:2", "a:3", "c:4", "a:5"]).await;
    let broker = broker_of(2);
    let desk = desk(store.clone(), &broker).await;
    soon(broker.received(5)).await;
    check_messages(&broker, &["a:1", "b:2", "a:3", "c:4", "a:5"]);
    assert_eq!(broker.attempts(), [2, 2, 1]);
    desk.shutdown().await;
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(5));
}

#[tokio::test(start_paused = true)]
async fn batches_are_bounded_by_bytes_and_a_large_message_goes_alone() {
    let store = MemoryStore::new();
    let large = format!("a:{}", "x".repeat(2_000));
    noted(&store, &["a:1", "a:2", "a:3", &large, "a:5"]).await;
    // Two small ones with their 256 bytes each, not three.
    let broker = Broker::new().limits(BatchLimits::new().bytes(700));
    let desk = desk(store, &broker).await;
    soon(broker.received(5)).await;
    check_messages(&broker, &["a:1", "a:2", "a:3", &large, "a:5"]);
    assert_eq!(broker.attempts(), [2, 1, 1, 1]);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_hundred_messages_go_at_once_unless_told_otherwise() {
    let store = MemoryStore::new();
    let all: Vec<String> = (0..250).map(|number| format!("a:{number}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    noted(&store, &all).await;
    let broker = Broker::new();
    let desk = desk(store, &broker).await;
    soon(broker.received(250)).await;
    check_messages(&broker, &all);
    assert_eq!(broker.attempts(), [100, 100, 50]);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn only_a_prefix_that_is_confirmed_is_not_published_again() {
    let store = MemoryStore::new();
    noted(&store, &["a:1", "a:2", "a:3", "a:4"]).await;
    let broker = broker_of(3);
    broker.confirm_first(1).confirm_first(0).confirm_first(2);
    let desk = desk(store.clone(), &broker).await;
    soon(desk.dispatch(note("a", "a:5")).consistency(Strong)).await.unwrap();
    check_messages(&broker, &["a:1", "a:2", "a:3", "a:4", "a:5"]);
    let came = ["a:1", "a:2", "a:3", "a:2", "a:3", "a:4", "a:2", "a:3", "a:4"];
    assert_eq!(texts(&broker.messages())[..9], came);
    desk.shutdown().await;
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(5));
}

#[tokio::test(start_paused = true)]
async fn a_claim_to_have_more_confirmed_than_there_was_means_all() {
    let store = MemoryStore::new();
    let broker = broker_of(3);
    broker.confirm_first(1_000);
    let desk = desk(store, &broker).await;
    soon(desk.dispatch(note("a", "a:1")).consistency(Strong)).await.unwrap();
    soon(desk.dispatch(note("a", "a:2")).consistency(Strong)).await.unwrap();
    assert_eq!(texts(&broker.messages()), ["a:1", "a:2"]);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_checkpoint_never_passes_what_is_not_confirmed() {
    let store = MemoryStore::new();
    noted(&store, &["a:1", "a:2", "a:3"]).await;
    let broker = broker_of(3);
    broker.confirm_first(2);
    for _ in 0..1_000 {
        broker.fail_after("lost");
    }
    let desk = desk(store.clone(), &broker).await;
    soon(broker.received(10)).await;
    assert_eq!(status(&desk, NAME).await.position, 2);
    desk.shutdown().await;
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(2));
    check_messages(&broker, &["a:1", "a:2", "a:3"]);
}
