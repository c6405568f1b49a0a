//! Decisions by others than the aggregate, with services, asynchronously.

use std::future::IntoFuture;

use cqrs::MemoryStore;
use cqrs::application::{StartError, StartFault};
use cqrs::dispatch::PanicPlace;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::gate::Gate;
use crate::support::log::{append_to, raw, sound_log};
use crate::support::store::{Act, ScriptedStore};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "purse.Exchanged")]
pub struct Exchanged {
    pub cents: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = PurseRouter, aggregate = Purse, identify_by = id, handler = Rates)]
pub struct Exchange {
    pub id: u32,
    pub cents: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = PurseRouter, aggregate = Purse, identify_by = id, handler = Rates)]
pub struct Double {
    pub id: u32,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PurseError {
    #[error("no rate today")]
    NoRate,
}

#[derive(Default, Clone, Debug)]
pub struct Purse {
    pub cents: u64,
}

#[aggregate(stream_prefix = "purse", error = PurseError)]
impl Purse {
    #[apply]
    fn exchanged(&mut self, event: &Exchanged) {
        self.cents += event.cents;
    }
}

/// A service that has no default.
pub struct Rates {
    percent: u64,
    gate: Gate,
}

#[command_handler(aggregate = Purse)]
impl Rates {
    #[execute]
    async fn any_name_will_do(&self, _state: &Purse, command: &Exchange) -> Result<Exchanged, PurseError> {
        self.gate.pass().await;
        assert_ne!(command.cents, 13, "unlucky");
        let cents = command.cents * self.percent / 100;
        if cents == 0 { Err(PurseError::NoRate) } else { Ok(Exchanged { cents }) }
    }

    /// Need not wait, sees the state, and takes what methods of aggregates take.
    #[execute]
    fn double(
        &self,
        state: &Purse,
        _command: &Double,
        emitter: &mut Emitter<'_, Purse>,
        context: &CommandContext,
    ) {
        assert_eq!(context.aggregate_id(), "1");
        emitter.emit(Exchanged { cents: state.cents });
    }
}

#[derive(Router)]
pub struct PurseRouter;

application! {
    pub struct Purses {
        routers: [PurseRouter],
    }
}

async fn purses(store: impl cqrs::store::Store, percent: u64, gate: Gate) -> Purses {
    let rates = Rates { percent, gate };
    Purses::builder(store).command_handler(rates).start().await.unwrap()
}

fn exchange(cents: u64) -> Exchange {
    Exchange { id: 1, cents }
}

// T-141, T-026
#[tokio::test]
async fn t_141_a_command_handler_decides_like_the_aggregate() {
    let store = MemoryStore::new();
    let purses = purses(store.clone(), 200, Gate::default()).await;
    let dispatched = purses.dispatch(exchange(5)).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().cents), (1, 10));
    assert_eq!(purses.dispatch(Double { id: 1 }).await.unwrap().state().cents, 20);
    let error = purses.dispatch(exchange(0)).await.unwrap_err();
    assert_eq!(error.rejection(), Some(&PurseError::NoRate));
    assert_eq!(sound_log(&store).await.len(), 2);
    purses.shutdown().await;
}

#[tokio::test]
async fn a_command_handler_without_an_instance_is_a_fault_of_the_start() {
    let Err(StartError::Invalid { faults, .. }) = Purses::builder(MemoryStore::new()).start().await else {
        panic!("started");
    };
    let [StartFault::NoInstance { kind, type_name, method }] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert_eq!((*kind, *method), ("command handler", "command_handler"));
    assert!(type_name.ends_with("::Rates"), "{type_name}");
}

// One command at a time: the second is decided on what the first led to.
#[tokio::test]
async fn a_waiting_handler_holds_up_its_own_aggregate() {
    let gate = Gate::shut();
    let purses = purses(MemoryStore::new(), 100, gate.clone()).await;
    let doubled = async {
        gate.arrival().await;
        let double = purses.dispatch(Double { id: 1 }).into_future();
        tokio::pin!(double);
        assert!(futures_poll(double.as_mut()).await.is_none(), "decided beside another command");
        gate.open();
        double.await
    };
    let (exchanged, doubled) = tokio::join!(purses.dispatch(exchange(5)).into_future(), doubled);
    assert_eq!(exchanged.unwrap().version(), 1);
    assert_eq!(doubled.unwrap().state().cents, 10);
    purses.shutdown().await;
}

/// Polls once, after all other tasks had their turn.
async fn futures_poll<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    for _ in 0..8 {
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(context))
        });
        if let std::task::Poll::Ready(output) = polled.await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

#[tokio::test]
async fn a_handler_runs_again_on_the_newer_state() {
    let foreign = raw("purse.Exchanged", 1, &serde_json::json!({ "cents": 3 }));
    let store = ScriptedStore::new([Act::After(append_to("purse-1", vec![foreign]))]);
    let gate = Gate::default();
    let purses = purses(store.clone(), 100, gate.clone()).await;
    let dispatched = purses.dispatch(exchange(5)).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().cents), (2, 8));
    assert_eq!(gate.arrivals(), 2);
    purses.shutdown().await;
}

#[tokio::test]
async fn a_handler_that_panics_fails_its_command_only() {
    let purses = purses(MemoryStore::new(), 100, Gate::default()).await;
    let error = purses.dispatch(exchange(13)).await.unwrap_err();
    assert!(
        matches!(error, DispatchError::Panicked { place: PanicPlace::Aggregate("Purse"), .. }),
        "{error:?}"
    );
    assert_eq!(purses.dispatch(exchange(5)).await.unwrap().version(), 1);
    purses.shutdown().await;
}
