//! User code at the places where it is easily forgotten.

use std::sync::{Arc, Mutex};

use cqrs::event::RawEvent;
use cqrs::id::{CausationId, CommandId, CorrelationId, EventId};
use cqrs::prelude::*;
use cqrs::store::{Append, EventData, EventStore, ExpectedVersion, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "user_code.Moved", version = 2, upcast(1 => split -> [Left, Arrived]))]
pub struct Moved {}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "user_code.Left")]
pub struct Left {}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "user_code.Arrived")]
pub struct Arrived {}

/// What was one event is three now.
fn split(data: Value) -> Vec<RawEvent> {
    let arrived = RawEvent::of::<Arrived>(data.clone());
    vec![RawEvent::of::<Left>(data), arrived.clone(), arrived]
}

#[derive(Router)]
pub struct TrainRouter;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "user_code.Depart", router = TrainRouter, aggregate = Train, identify_by = id)]
pub struct Depart {
    pub id: Id,
}

/// Shows itself unless it is zero.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Id(pub u64);

impl std::fmt::Display for Id {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        assert_ne!(self.0, 0, "on purpose");
        std::fmt::Display::fmt(&self.0, formatter)
    }
}

#[derive(Default, Clone)]
pub struct Train;

#[aggregate(stream_prefix = "user_code_train")]
impl Train {
    #[execute]
    fn depart(&self, _: &Depart) -> Left {
        Left {}
    }

    #[apply]
    fn left(&mut self, _: &Left) {}

    #[apply]
    fn arrived(&mut self, _: &Arrived) {}
}

#[derive(Default)]
pub struct Clerk;

#[event_handler(name = "clerk", interested_in = [Left], consistency = strong)]
impl Clerk {
    async fn on_left(&self, _: &Left) {}
}

#[derive(Debug, thiserror::Error)]
#[error("on purpose")]
pub struct OnPurpose;

/// Fails at each event, and sees what `on_error` would hand on to a command.
#[derive(Clone, Default)]
pub struct Porter {
    caused_by: Arc<Mutex<Option<CausationId>>>,
}

#[event_handler(name = "porter", interested_in = [Left], consistency = strong)]
impl Porter {
    async fn on_left(&self, _: &Left) -> Result<(), OnPurpose> {
        Err(OnPurpose)
    }

    async fn on_error(&self, _: &HandlerFailure<OnPurpose>) -> ErrorAction {
        let ambient = cqrs::ambient::Ambient::current();
        *self.caused_by.lock().unwrap() = ambient.map(|ambient| ambient.causation_id);
        ErrorAction::Skip
    }
}

application! {
    pub struct Railway {
        routers: [TrainRouter],
    }
}

/// Panics before there is a future.
struct Eager;

impl Middleware for Eager {
    fn before_dispatch(&self, _: &mut DispatchContext) -> impl Future<Output = Result<(), Halt>> + Send {
        assert!(self.is_calm(), "on purpose");
        async { Ok(()) }
    }
}

impl Eager {
    fn is_calm(&self) -> bool {
        std::any::type_name_of_val(self).is_empty()
    }
}

struct Answers;

impl Middleware for Answers {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        Err(Halt::respond(context, ()))
    }
}

#[tokio::test]
async fn a_hook_that_panics_before_it_gives_a_future_fails_the_dispatch_only() {
    let railway = Railway::builder(MemoryStore::new()).middleware(Eager).start().await.unwrap();
    let error = railway.dispatch(Depart { id: Id(1) }).await.unwrap_err();
    assert!(matches!(error, DispatchError::Panicked { .. }), "{error:?}");
}

#[tokio::test]
async fn an_identity_that_panics_behind_an_answer_fails_the_dispatch_only() {
    let railway = Railway::builder(MemoryStore::new()).middleware(Answers).start().await.unwrap();
    let error = railway.dispatch(Depart { id: Id(0) }).await.unwrap_err();
    assert!(matches!(error, DispatchError::Panicked { .. }), "{error:?}");
}

#[tokio::test]
async fn what_on_error_dispatches_is_caused_by_the_event() {
    let porter = Porter::default();
    let railway = Railway::builder(MemoryStore::new()).event_handler(porter.clone()).start().await.unwrap();
    railway.dispatch(Depart { id: Id(1) }).consistency(Strong).await.unwrap();
    assert!(porter.caused_by.lock().unwrap().is_some());
    railway.shutdown().await;
}

/// The repeated command has one stored event, which is three by now.
#[tokio::test]
async fn a_strong_repetition_waits_for_events_that_were_upcast_to_several() {
    let store = MemoryStore::new();
    let (command_id, stream_id) = (CommandId::new(), StreamId::new("user_code_train-1").unwrap());
    let moved = EventData {
        event_id: EventId::new(),
        event_type: "user_code.Moved".into(),
        schema_version: 1,
        data: "{}".into(),
        metadata: cqrs::event::Metadata::new(),
        causation_id: command_id.into(),
        correlation_id: CorrelationId::new(),
    };
    let append = Append::to_stream(command_id, stream_id, ExpectedVersion::NoStream, vec![moved]);
    store.append(append).await.unwrap();

    let railway = Railway::builder(store).event_handler(Clerk).start().await.unwrap();
    let dispatch = railway.dispatch(Depart { id: Id(1) }).command_id(command_id);
    let repeated = dispatch.consistency(Strong).await.unwrap();
    assert_eq!((repeated.events().len(), repeated.position()), (3, Some(1)));
    railway.shutdown().await;
}
