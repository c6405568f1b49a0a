//! Panics and refusals: one command fails, nothing is stored, the next one finds a sound state.

use std::future::IntoFuture;

use cqrs::MemoryStore;
use cqrs::aggregate::ReplayError;
use cqrs::application::StateError;
use cqrs::dispatch::PanicPlace;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::log::{names_of, raw, sound_log, write};
use crate::support::tally::{Tally, add, explode, look, take, tallies};

/// Panics in `apply` when the number is 13.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "brittle.Counted")]
pub struct Counted(pub u32);

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BrittleRouter, aggregate = Brittle, identify_by = id)]
pub struct CountTo {
    pub id: u32,
    pub number: u32,
}

#[derive(Default, Clone, Debug)]
pub struct Brittle {
    pub last: u32,
}

#[aggregate(stream_prefix = "brittle")]
impl Brittle {
    #[execute]
    fn count(&self, command: &CountTo) -> Vec<Counted> {
        (self.last + 1..=command.number).map(Counted).collect()
    }

    #[apply]
    fn counted(&mut self, event: &Counted) {
        self.last = event.0;
        assert_ne!(event.0, 13, "unlucky");
    }
}

#[derive(Router)]
pub struct BrittleRouter;

application! {
    pub struct Brittles {
        routers: [BrittleRouter],
    }
}

async fn brittles(store: MemoryStore) -> Brittles {
    Brittles::builder(store).start().await.unwrap()
}

// T-142, C-035, W-010, L-035: our error names the panic, and the next command is served by a fresh instance.
#[tokio::test]
async fn t_142_a_panic_in_a_decision_fails_its_command_only() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("1", 100)).await.unwrap();
    tallies.dispatch(add("2", 1)).await.unwrap();
    tallies.dispatch(explode("1")).await.unwrap_err();
    assert_eq!(sound_log(&store).await.len(), 2);
    let state = tallies.aggregate_state::<Tally>("1").await.unwrap();
    assert_eq!((state.version, state.state.total), (1, 100));
    assert!(tallies.live_aggregates().iter().all(|live| live.stream_id.as_str() != "tally-1"));
    let next = tallies.dispatch(add("1", 20)).await.unwrap();
    assert_eq!((next.version(), next.state().total), (2, 120));
    assert_eq!(tallies.dispatch(add("2", 1)).await.unwrap().version(), 2);
    tallies.shutdown().await;
}

// Those that wait behind the panic are served as well.
#[tokio::test]
async fn a_panic_does_not_lose_the_commands_behind_it() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let (first, panic, second, third) = tokio::join!(
        tallies.dispatch(add("1", 1)).into_future(),
        tallies.dispatch(explode("1")).into_future(),
        tallies.dispatch(add("1", 2)).into_future(),
        tallies.dispatch(add("1", 4)).into_future(),
    );
    assert!(matches!(panic, Err(DispatchError::Panicked { .. })), "{panic:?}");
    let totals = [first, second, third].map(|result| result.unwrap().state().total);
    assert_eq!(totals, [1, 3, 7]);
    assert_eq!(sound_log(&store).await.len(), 3);
    tallies.shutdown().await;
}

#[tokio::test]
async fn t_147_a_panic_in_apply_comes_before_the_append() {
    let store = MemoryStore::new();
    let brittles = brittles(store.clone()).await;
    brittles.dispatch(CountTo { id: 1, number: 12 }).await.unwrap();
    let error = brittles.dispatch(CountTo { id: 1, number: 14 }).await.unwrap_err();
    let DispatchError::Panicked { place, message, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*place, PanicPlace::Aggregate("Brittle"));
    assert!(message.contains("unlucky"), "{message}");
    assert_eq!(names_of(&store, "brittle-1").await.len(), 12, "not even the first event");
    assert_eq!(brittles.aggregate_state::<Brittle>(1).await.unwrap().state.last, 12);
    brittles.shutdown().await;
}

// W-012
#[tokio::test]
async fn w_012_a_panic_in_a_replay_is_an_error_and_no_hang() {
    let store = MemoryStore::new();
    write(&store, "brittle-1", vec![raw("brittle.Counted", 1, &json!(13))]).await;
    let brittles = brittles(store.clone()).await;
    for _ in 0..2 {
        let error = brittles.dispatch(CountTo { id: 1, number: 20 }).await.unwrap_err();
        assert!(matches!(error, DispatchError::Panicked { .. }), "{error:?}");
    }
    let error = brittles.aggregate_state::<Brittle>(1).await.unwrap_err();
    let StateError::Replay { stream_id, source: ReplayError::Panicked { aggregate: "Brittle", .. } } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(stream_id.as_str(), "brittle-1");
    brittles.dispatch(CountTo { id: 2, number: 2 }).await.unwrap();
    brittles.shutdown().await;
}

// C-028, C-034, DEF-C1
#[tokio::test]
async fn c_028_a_refusal_changes_nothing() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("1", 100)).await.unwrap();
    for _ in 0..3 {
        let error = tallies.dispatch(take("1", 101)).await.unwrap_err();
        assert_eq!(error.rejection().unwrap().total, 100);
    }
    let state = tallies.dispatch(look("1")).await.unwrap();
    assert_eq!((state.version(), state.state().total), (1, 100));
    assert_eq!(sound_log(&store).await.len(), 1);
    tallies.shutdown().await;
}
