use std::future::IntoFuture;
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::prelude::*;

use super::domain::seconds;
use crate::support::gate::Gate;
use crate::support::tally::{Held, Tallies, add, add_held, explode, look, take, tallies};

const MINUTE: u64 = 60;

fn live(tallies: &Tallies) -> Vec<String> {
    let live = tallies.live_aggregates();
    live.into_iter().map(|live| live.stream_id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn e_033_half_an_hour_after_a_command_and_five_minutes_after_a_refusal() {
    let tallies = tallies(MemoryStore::new()).await;
    tallies.dispatch(add("event", 1)).await.unwrap();
    tallies.dispatch(look("command")).await.unwrap();
    tallies.dispatch(take("refusal", 1)).await.unwrap_err();
    seconds(5 * MINUTE - 1).await;
    assert_eq!(live(&tallies), ["tally-command", "tally-event", "tally-refusal"]);
    seconds(2).await;
    assert_eq!(live(&tallies), ["tally-command", "tally-event"]);
    seconds(25 * MINUTE - 2).await;
    assert_eq!(live(&tallies), ["tally-command", "tally-event"]);
    seconds(2).await;
    assert!(live(&tallies).is_empty());
    tallies.shutdown().await;
}

// C-027, C-033
#[tokio::test(start_paused = true)]
async fn c_027_a_passivated_aggregate_comes_back_as_it_was() {
    let tallies = tallies(MemoryStore::new()).await;
    tallies.dispatch(add("1", 100)).await.unwrap();
    tallies.dispatch(take("1", 25)).await.unwrap();
    seconds(31 * MINUTE).await;
    assert!(live(&tallies).is_empty());
    let seen = tallies.dispatch(look("1")).await.unwrap();
    assert_eq!((seen.version(), seen.state().total), (2, 75));
    assert_eq!(tallies.dispatch(add("1", 30)).await.unwrap().version(), 3);
    tallies.shutdown().await;
}

// T-177
#[tokio::test(start_paused = true)]
async fn t_177_a_panic_ends_the_instance() {
    let tallies = tallies(MemoryStore::new()).await;
    tallies.dispatch(add("1", 1)).await.unwrap();
    tallies.dispatch(explode("1")).await.unwrap_err();
    assert!(live(&tallies).is_empty());
    tallies.shutdown().await;
}

// An instance at work is not idle, however long it works.
#[tokio::test(start_paused = true)]
async fn a_busy_instance_stays() {
    let gate = Gate::shut();
    let builder = Tallies::builder(MemoryStore::new()).command_handler(Held(gate.clone()));
    let tallies = builder.start().await.unwrap();
    tallies.dispatch(add("1", 1)).await.unwrap();
    let long = tallies.dispatch(add_held("1", 1)).no_timeout().into_future();
    let watch = async {
        gate.arrival().await;
        tokio::time::sleep(Duration::from_secs(45 * MINUTE)).await;
        assert_eq!(live(&tallies), ["tally-1"]);
        gate.open();
    };
    let (result, ()) = tokio::join!(long, watch);
    assert_eq!(result.unwrap().version(), 2);
    seconds(30 * MINUTE - 1).await;
    assert_eq!(live(&tallies), ["tally-1"]);
    seconds(2).await;
    assert!(live(&tallies).is_empty());
    tallies.shutdown().await;
}

// Consistency has nothing to wait for here, and an idle sweep ends nothing that is due later.
#[tokio::test(start_paused = true)]
async fn instances_leave_one_by_one() {
    let tallies = tallies(MemoryStore::new()).await;
    for id in 0..10 {
        tallies.dispatch(add(&id.to_string(), 1)).consistency(Strong).await.unwrap();
        seconds(MINUTE).await;
    }
    seconds(20 * MINUTE - 30).await;
    for left in (1..=10).rev() {
        assert_eq!(live(&tallies).len(), left);
        seconds(MINUTE).await;
    }
    assert!(live(&tallies).is_empty());
    tallies.shutdown().await;
}
