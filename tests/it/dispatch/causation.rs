//! What caused what, and what belongs together.

use cqrs::MemoryStore;
use cqrs::id::{CausationId, CommandId, CorrelationId};
use cqrs::middleware::Middleware;
use cqrs::prelude::*;
use cqrs::store::EventStore as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::support::log::sound_log;

/// A step of a chain that the handler continues until nothing is left.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "causation.Stepped")]
pub struct Stepped {
    pub left: u32,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = ChainRouter, aggregate = Link, identify_by = left)]
pub struct Step {
    pub left: u32,
}

#[derive(Default, Clone, Debug)]
pub struct Link;

#[aggregate(stream_prefix = "link")]
impl Link {
    #[execute]
    fn step(&self, command: &Step, context: &CommandContext) -> Stepped {
        // The aggregate is told as well.
        assert_eq!(context.metadata.get("seen").is_some(), context.causation_id.is_some());
        Stepped { left: command.left }
    }

    #[apply]
    fn stepped(&mut self, _event: &Stepped) {}
}

/// Sends the next step.
#[derive(Default)]
pub struct Next;

#[event_handler(name = "next", interested_in = [Stepped], consistency = strong)]
impl Next {
    async fn on_stepped(
        &self,
        event: &Stepped,
        context: &EventContext,
    ) -> Result<(), DispatchError<std::convert::Infallible>> {
        if event.left > 0 {
            let chain: Chain = context.app().expect("it runs in a chain");
            chain.dispatch(Step { left: event.left - 1 }).await?;
        }
        Ok(())
    }
}

/// Notes in the metadata that it has seen a causation.
#[derive(Default)]
pub struct Notes;

impl Middleware for Notes {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        if let Some(id) = context.causation_id() {
            context.metadata_mut().insert("seen", id.to_string());
        }
        Ok(())
    }
}

#[derive(Router)]
pub struct ChainRouter;

application! {
    pub struct Chain {
        routers: [ChainRouter],
        event_handlers: [Next],
        middleware: [Notes],
    }
}

pub async fn chain(store: MemoryStore) -> Chain {
    Chain::builder(store).start().await.unwrap()
}

#[tokio::test]
async fn t_080_an_event_is_caused_by_its_command() {
    let store = MemoryStore::new();
    let chain = chain(store.clone()).await;
    let dispatched = chain.dispatch(Step { left: 0 }).await.unwrap();
    let event = &sound_log(&store).await[0];
    assert_eq!(event.causation_id, CausationId::from(dispatched.command_id()));
    assert_eq!(event.metadata.command_causation_id(), None);
    assert!(event.metadata.is_empty(), "no causation was seen");
    chain.shutdown().await;
}

// T-081, T-083
#[tokio::test]
async fn t_081_given_ids_reach_middleware_and_events() {
    let store = MemoryStore::new();
    let chain = chain(store.clone()).await;
    let (command, correlation) = (CommandId::new(), CorrelationId::new());
    let causation = CausationId::from(Uuid::from_u128(7));
    let dispatch = chain.dispatch(Step { left: 0 }).command_id(command).causation_id(causation);
    let dispatched = dispatch.correlation_id(correlation).await.unwrap();
    assert_eq!((dispatched.command_id(), dispatched.correlation_id()), (command, correlation));
    let event = &sound_log(&store).await[0];
    assert_eq!((event.causation_id, event.correlation_id), (command.into(), correlation));
    assert_eq!(event.metadata.command_causation_id(), Some(causation));
    assert_eq!(event.metadata.get("seen").unwrap(), &causation.to_string());
    chain.shutdown().await;
}

#[tokio::test]
async fn t_083_two_dispatches_do_not_belong_together_unless_told() {
    let store = MemoryStore::new();
    let chain = chain(store.clone()).await;
    let one = chain.dispatch(Step { left: 0 }).await.unwrap();
    let two = chain.dispatch(Step { left: 0 }).await.unwrap();
    assert_ne!(one.correlation_id(), two.correlation_id());
    chain.shutdown().await;
}

// T-084, T-085, T-086 with handlers as the hops: event -> command -> event can be walked back to the first.
#[tokio::test]
async fn t_086_a_chain_of_hops_keeps_the_first_correlation() {
    let store = MemoryStore::new();
    let chain = chain(store.clone()).await;
    let correlation = CorrelationId::new();
    let dispatch = chain.dispatch(Step { left: 3 }).correlation_id(correlation);
    dispatch.await.unwrap();
    store.watch_head().wait_for(|head| *head == 4).await.unwrap();
    let log = sound_log(&store).await;
    for (cause, effect) in log.iter().zip(&log[1..]) {
        assert_eq!(effect.metadata.command_causation_id(), Some(cause.event_id.into()));
        assert_ne!(effect.causation_id, cause.causation_id);
    }
    assert!(log.iter().all(|event| event.correlation_id == correlation));
    chain.shutdown().await;
}
