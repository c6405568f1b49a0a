//! Live instances: one for a stream and application, each by itself.

use std::future::IntoFuture;

use cqrs::MemoryStore;
use tokio::task::JoinSet;

use crate::support::gate::Gate;
use crate::support::log::sound_log;
use crate::support::tally::{Held, Tallies, add, add_held, tallies};

// N-009, DEF-007, C-032
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn n_009_many_first_dispatches_make_one_instance() {
    let store = MemoryStore::new();
    let gate = Gate::shut();
    let builder = Tallies::builder(store.clone()).command_handler(Held(gate.clone()));
    let tallies = builder.start().await.unwrap();
    let mut dispatches = JoinSet::new();
    for _ in 0..50 {
        let tallies = tallies.clone();
        dispatches.spawn(async move { tallies.dispatch(add_held("1", 1)).await.unwrap().version() });
    }
    gate.arrival().await;
    let live = tallies.live_aggregates();
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].aggregate, live[0].stream_id.as_str()), ("Tally", "tally-1"));
    gate.open();
    let mut versions = dispatches.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, Vec::from_iter(1..=50), "one after the other");
    assert_eq!(sound_log(&store).await.len(), 50);
    tallies.shutdown().await;
}

// N-035, C-002 of the seeds' defects: a slow aggregate delays no other.
#[tokio::test]
async fn n_035_a_slow_aggregate_delays_no_other() {
    let gate = Gate::shut();
    let builder = Tallies::builder(MemoryStore::new()).command_handler(Held(gate.clone()));
    let tallies = builder.start().await.unwrap();
    let slow = tallies.dispatch(add_held("slow", 1)).into_future();
    let others = async {
        gate.arrival().await;
        for id in 0..100 {
            assert_eq!(tallies.dispatch(add(&id.to_string(), 1)).await.unwrap().version(), 1);
        }
        let waiting = tallies.live_aggregates();
        assert_eq!(waiting.len(), 101, "all of them alive");
        gate.open();
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert_eq!(slow.unwrap().version(), 1);
    tallies.shutdown().await;
}

// N-008, DEF-006, G9: the same identity in two stores.
#[tokio::test]
async fn n_008_one_identity_in_two_stores_is_two_aggregates() {
    let (one, two) = (MemoryStore::new(), MemoryStore::new());
    let (first, second) = (tallies(one.clone()).await, tallies(two.clone()).await);
    first.dispatch(add("1", 1)).idempotency_key("k").await.unwrap();
    let other = second.dispatch(add("1", 10)).idempotency_key("k").await.unwrap();
    assert_eq!((other.is_repeated(), other.version(), other.state().total), (false, 1, 10));
    assert_eq!((sound_log(&one).await.len(), sound_log(&two).await.len()), (1, 1));
    first.shutdown().await;
    second.shutdown().await;
}

// N-012 of C-032: an instance is kept, and used again.
#[tokio::test]
async fn c_032_an_instance_is_kept_for_the_next_command() {
    let tallies = tallies(MemoryStore::new()).await;
    for version in 1..=3 {
        tallies.dispatch(add("1", 1)).await.unwrap();
        let live = tallies.live_aggregates();
        assert_eq!(live.len(), 1);
        assert_eq!((live[0].version, live[0].waiting), (Some(version), 0));
    }
    tallies.shutdown().await;
}
