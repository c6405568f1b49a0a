//! The bound on live instances: the least recently used idle ones leave first.

use std::future::IntoFuture;

use cqrs::MemoryStore;
use cqrs::application::Config;

use crate::support::gate::Gate;
use crate::support::log::sound_log;
use crate::support::tally::{Held, Tallies, add, add_held, look};

async fn bounded(bound: usize, gate: Gate) -> (Tallies, MemoryStore) {
    let store = MemoryStore::new();
    let config = Config::new().max_live_aggregates(bound);
    let builder = Tallies::builder(store.clone()).config(config).command_handler(Held(gate));
    (builder.start().await.unwrap(), store)
}

fn live(tallies: &Tallies) -> Vec<String> {
    let live = tallies.live_aggregates();
    live.into_iter().map(|live| live.stream_id.identity().to_owned()).collect()
}

#[tokio::test]
async fn the_least_recently_used_leaves_first() {
    let (tallies, _) = bounded(3, Gate::default()).await;
    for id in ["a", "b", "c", "a", "d"] {
        tallies.dispatch(add(id, 1)).await.unwrap();
    }
    assert_eq!(live(&tallies), ["a", "c", "d"]);
    // A command without events is a use as well.
    tallies.dispatch(look("c")).await.unwrap();
    tallies.dispatch(add("e", 1)).await.unwrap();
    assert_eq!(live(&tallies), ["c", "d", "e"]);
    // Who left comes back as it was.
    assert_eq!(tallies.dispatch(add("a", 1)).await.unwrap().version(), 3);
    assert_eq!(live(&tallies), ["a", "c", "e"]);
    tallies.shutdown().await;
}

#[tokio::test]
async fn the_bound_holds_for_many() {
    let (tallies, store) = bounded(16, Gate::default()).await;
    for round in 1..=2 {
        for id in 0..200 {
            assert_eq!(tallies.dispatch(add(&id.to_string(), 1)).await.unwrap().version(), round);
            assert!(tallies.live_aggregates().len() <= 16);
        }
    }
    assert_eq!(tallies.health().await.unwrap().live_aggregates, live(&tallies).len());
    assert_eq!(sound_log(&store).await.len(), 400);
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_busy_instance_is_not_pushed_out() {
    let gate = Gate::shut();
    let (tallies, _) = bounded(1, gate.clone()).await;
    let busy = tallies.dispatch(add_held("busy", 1)).into_future();
    let others = async {
        gate.arrival().await;
        for id in ["a", "b", "c"] {
            tallies.dispatch(add(id, 1)).await.unwrap();
            assert!(live(&tallies).contains(&"busy".to_owned()));
        }
        gate.open();
    };
    let (result, ()) = tokio::join!(busy, others);
    assert_eq!(result.unwrap().version(), 1);
    tallies.shutdown().await;
}
