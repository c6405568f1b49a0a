use std::any::{TypeId, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::application::StartError;
use crate::event::{EventRegistry, EventSchema, EventSet};
use crate::handler::kept_state::is_kept;
use crate::handler::partition::{KeyPlace, key_of};
use crate::handler::react::Reactions;
use crate::handler::start::init;
use crate::handler::{
    EventHandler, HandlerConsistency, HandlerRunner, InitError, KeysOf, StartFrom, SubscribeTo,
};
use crate::process_manager::{Managing, ProcessManager, route};
use crate::projection::{InlineSource, ProjectionControl};
use crate::store::EventFilter;

/// A place for an event handler in an application: its type, and how to make an instance when the
/// application is given none.
#[derive(Clone)]
pub struct HandlerEntry {
    pub(crate) type_id: TypeId,
    pub(crate) type_name: &'static str,
    pub(crate) definition: Option<HandlerDefinition>,
    pub(crate) name: &'static str,
    /// What it is, and which method of the builder takes an instance.
    pub(crate) kind: &'static str,
    pub(crate) method: &'static str,
}

impl HandlerEntry {
    /// A handler of type `H`; `instance` is `None` when the type has no `Default`, and the application's
    /// builder must then be given one.
    #[must_use]
    pub fn new<H: EventHandler>(instance: Option<H>) -> Self {
        Self {
            type_id: TypeId::of::<H>(),
            type_name: type_name::<H>(),
            definition: instance.map(|instance| HandlerDefinition::new(H::NAME, instance)),
            name: H::NAME,
            kind: "event handler",
            method: "event_handler",
        }
    }
}

impl HandlerEntry {
    /// A process manager of type `P`.
    #[must_use]
    pub fn process_manager<P: ProcessManager>() -> Self {
        Self {
            type_id: TypeId::of::<P>(),
            type_name: type_name::<P>(),
            definition: Some(HandlerDefinition::of_process_manager::<P>()),
            name: P::NAME,
            kind: "process manager",
            method: "process_manager",
        }
    }
}

impl fmt::Debug for HandlerEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name, self.type_name)
    }
}

/// A handler with its instance: all that the runtime needs to run it.
#[derive(Clone)]
pub(crate) struct HandlerDefinition {
    pub(crate) name: Arc<str>,
    pub(crate) type_name: &'static str,
    pub(crate) start_from: StartFrom,
    pub(crate) strong: bool,
    pub(crate) subscribe_to: SubscribeTo,
    pub(crate) partitions: u16,
    /// How many pages of the log it reads at a time.
    pub(crate) pages: usize,
    pub(crate) keeps_state: bool,
    pub(crate) schemas: fn() -> Vec<&'static EventSchema>,
    /// The events of its types, whatever it is subscribed to.
    pub(crate) types: fn(&EventRegistry) -> EventFilter,
    pub(crate) start: Arc<dyn StartHandler>,
    pub(crate) role: Role,
    /// The projection that it is, for whoever looks after it.
    pub(crate) projection: Option<Arc<dyn ProjectionControl>>,
    /// The projection that it is, if its rows are written in the transactions of appends.
    pub(crate) inline: Option<Arc<dyn InlineSource>>,
    /// What builds rows beside those of the projection.
    pub(crate) build: Option<Box<HandlerDefinition>>,
}

/// Whose events a runner handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An event handler's.
    Handler,
    /// A process manager's, which keeps states and sends commands.
    ProcessManager,
    /// Those of a projection, for the rows that readers see. The truth about its position lies beside the rows.
    Projection,
    /// Those of a projection, for rows beside them. Nobody waits for it or looks after it.
    Build,
}

impl HandlerDefinition {
    pub(crate) fn new<H: EventHandler>(name: &str, instance: H) -> Self {
        Self {
            name: Arc::from(name),
            type_name: type_name::<H>(),
            start_from: H::START_FROM,
            strong: H::CONSISTENCY == HandlerConsistency::Strong,
            subscribe_to: H::SUBSCRIBE_TO,
            partitions: H::PARTITIONS,
            pages: 1,
            keeps_state: is_kept::<H::State>(),
            schemas: <H::Event as EventSet>::schemas,
            types: |registry| EventFilter::types(registry.stored_names_of::<H::Event>()),
            start: Arc::new(Instance(Arc::new(instance))),
            role: Role::Handler,
            projection: None,
            inline: None,
            build: None,
        }
    }
}

impl HandlerDefinition {
    pub(crate) fn of_process_manager<P: ProcessManager>() -> Self {
        Self {
            name: Arc::from(P::NAME),
            type_name: type_name::<P>(),
            start_from: P::START_FROM,
            strong: P::CONSISTENCY == HandlerConsistency::Strong,
            subscribe_to: P::SUBSCRIBE_TO,
            partitions: 1,
            pages: 1,
            keeps_state: false,
            schemas: <P::Event as EventSet>::schemas,
            types: |registry| EventFilter::types(registry.stored_names_of::<P::Event>()),
            start: Arc::new(Managed::<P>(PhantomData)),
            role: Role::ProcessManager,
            projection: None,
            inline: None,
            build: None,
        }
    }
}

impl HandlerDefinition {
    /// The events that it is interested in: those of its types among what it is subscribed to.
    pub(crate) fn filter(&self, registry: &EventRegistry) -> EventFilter {
        self.subscribe_to.filter((self.types)(registry))
    }

    /// Has the handler prepare itself.
    pub(crate) async fn init(&self, application: &str, limit: Duration) -> Result<(), StartError> {
        self.start.init(limit).await.map_err(|source| StartError::Init {
            application: application.to_owned(),
            handler: self.name.as_ref().to_owned(),
            source,
        })
    }
}

impl fmt::Debug for HandlerDefinition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.name, self.type_name)
    }
}

/// Runs a handler whose type is no longer known.
pub(crate) trait StartHandler: Send + Sync {
    /// What the handler prepares before anything runs.
    fn init(&self, limit: Duration) -> BoxFuture<'_, Result<(), InitError>> {
        let _ = limit;
        Box::pin(async { Ok(()) })
    }

    /// One run, until it is stopped or fails for good; called again by the supervisor after a crash.
    fn run(&self, runner: HandlerRunner) -> BoxFuture<'static, ()>;

    /// Tells what keeps the order of events.
    fn keys_of(&self, place: KeyPlace) -> Box<KeysOf>;
}

struct Instance<H>(Arc<H>);

struct Managed<P>(PhantomData<fn() -> P>);

impl<P: ProcessManager> StartHandler for Managed<P> {
    fn run(&self, runner: HandlerRunner) -> BoxFuture<'static, ()> {
        Box::pin(async move { runner.run(&mut Managing::<P>::new()).await })
    }

    fn keys_of(&self, place: KeyPlace) -> Box<KeysOf> {
        Box::new(move |event| {
            let routed = route::<P>(&place.registry, event, &place.context(event));
            routed.into_iter().map(|(id, _)| id.as_ref().to_owned()).collect()
        })
    }
}

impl<H: EventHandler> StartHandler for Instance<H> {
    fn init(&self, limit: Duration) -> BoxFuture<'_, Result<(), InitError>> {
        Box::pin(init(&*self.0, limit))
    }

    fn run(&self, runner: HandlerRunner) -> BoxFuture<'static, ()> {
        let handler = Arc::clone(&self.0);
        Box::pin(async move { runner.run(&mut Reactions::new(handler)).await })
    }

    fn keys_of(&self, place: KeyPlace) -> Box<KeysOf> {
        let handler = Arc::clone(&self.0);
        Box::new(move |event| {
            let by = |typed: &H::Event| handler.partition_by(typed, &place.context(event));
            vec![key_of::<H::Event>(&place.registry, event, by)]
        })
    }
}
