use std::any::{TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::Services;
use crate::application::{Application, Config, Definition, StartError, start};
use crate::clock::{Clock, SystemClock};
use crate::event::{EventSchema, EventSet};
use crate::handler::{EventHandler, HandlerDefinition};
use crate::memory_pressure::{MemoryMeter, SystemMemory};
use crate::middleware::{Middleware, MiddlewareEntry};
use crate::process_manager::ProcessManager;
use crate::projection::Projection;
use crate::publisher::Publisher;
use crate::store::{CheckpointStore, EventStore, LeaseStore, SnapshotStore, Store};
use crate::telemetry::{Propagation, Propagator};

/// Puts an application instance together and starts it.
#[must_use = "an application runs once it is started"]
pub struct Builder<A> {
    pub(crate) parts: Parts,
    application: PhantomData<fn() -> A>,
}

/// What a [`Builder`] has gathered.
pub(crate) struct Parts {
    pub(crate) application: TypeId,
    pub(crate) definition: Definition,
    pub(crate) name: String,
    pub(crate) node: Option<String>,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) snapshots: Arc<dyn SnapshotStore>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) leases: Arc<dyn LeaseStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) propagation: Propagation,
    pub(crate) config: Config,
    pub(crate) memory_meter: Arc<dyn MemoryMeter>,
    pub(crate) services: Services,
    /// Instances for handlers and layers that are listed in the application.
    pub(crate) event_handlers: HashMap<TypeId, HandlerDefinition>,
    pub(crate) middleware: HashMap<TypeId, MiddlewareEntry>,
    /// Layers and handlers in the order in which they were given.
    pub(crate) given_middleware: Vec<TypeId>,
    pub(crate) given_handlers: Vec<TypeId>,
    pub(crate) named_handlers: Vec<HandlerDefinition>,
    pub(crate) schemas: Vec<&'static EventSchema>,
}

impl<A: Application> Builder<A> {
    /// An instance on `store`. Handles to one store may be shared by clones of the store, but only
    /// applications of one name may use it.
    pub fn new(store: impl Store) -> Self {
        let store = Arc::new(store);
        let parts = Parts {
            application: TypeId::of::<A>(),
            definition: Definition::of::<A>(),
            name: A::NAME.to_owned(),
            node: None,
            store: store.clone(),
            snapshots: store.clone(),
            checkpoints: store.clone(),
            leases: store,
            clock: Arc::new(SystemClock),
            propagation: Propagation::default(),
            config: Config::new(),
            memory_meter: Arc::new(SystemMemory),
            services: Services::default(),
            event_handlers: HashMap::new(),
            middleware: HashMap::new(),
            given_middleware: Vec::new(),
            given_handlers: Vec::new(),
            named_handlers: Vec::new(),
            schemas: Vec::new(),
        };
        Self { parts, application: PhantomData }
    }

    /// The name of the instance, for instance of its tenant; the application's own name unless set.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.parts.name = name.into();
        self
    }

    /// The name of the node, where several instances of one name run on one store in one process. Instances
    /// in different processes need none.
    ///
    /// Nodes share the work of commands; each handler runs on one of them at a time, and is
    /// [passive](crate::handler::HandlerState::Passive) on the others. A node that shuts down hands its handlers
    /// over at once. One that is not heard of any more is followed by another one after
    /// [`Config::lease_ttl`].
    pub fn node(mut self, node: impl Into<String>) -> Self {
        self.parts.node = Some(node.into());
        self
    }

    /// Gives the instance of an event handler. One that the application does not list is added.
    pub fn event_handler<H: EventHandler>(mut self, handler: H) -> Self {
        self.parts.given_handlers.push(TypeId::of::<H>());
        self.parts.event_handlers.insert(TypeId::of::<H>(), HandlerDefinition::new(H::NAME, handler));
        self
    }

    /// Adds a process manager that the application does not list.
    pub fn process_manager<P: ProcessManager>(mut self) -> Self {
        self.parts.given_handlers.push(TypeId::of::<P>());
        self.parts.event_handlers.insert(TypeId::of::<P>(), HandlerDefinition::of_process_manager::<P>());
        self
    }

    /// Adds an event handler under a name of its own, so that several instances of one type can run.
    pub fn event_handler_as<H: EventHandler>(mut self, name: &str, handler: H) -> Self {
        self.parts.named_handlers.push(HandlerDefinition::new(name, handler));
        self
    }

    /// Gives the instance of a projection. One that the application does not list is added.
    pub fn projection<P: Projection>(mut self, projection: P) -> Self {
        self.parts.given_handlers.push(TypeId::of::<P>());
        self.parts
            .event_handlers
            .insert(TypeId::of::<P>(), crate::projection::definition(P::NAME, projection));
        self
    }

    /// Adds a projection under a name of its own, so that several instances of one type can run, each with rows of its
    /// own.
    pub fn projection_as<P: Projection>(mut self, name: &str, projection: P) -> Self {
        self.parts.named_handlers.push(crate::projection::definition(name, projection));
        self
    }

    /// Gives the instance of a publisher. One that the application does not list is added.
    pub fn publisher<P: Publisher>(mut self, publisher: P) -> Self {
        let definition = HandlerDefinition::of_publisher(P::NAME, publisher);
        self.parts.given_handlers.push(TypeId::of::<P>());
        self.parts.event_handlers.insert(TypeId::of::<P>(), definition);
        self
    }

    /// Adds a publisher under a name of its own, so that several instances of one type can run. The ids of its messages
    /// follow from this name.
    pub fn publisher_as<P: Publisher>(mut self, name: &str, publisher: P) -> Self {
        self.parts.named_handlers.push(HandlerDefinition::of_publisher(name, publisher));
        self
    }

    /// Gives the instance of a layer of middleware, wherever it is listed. One that neither the application
    /// nor a router lists becomes the innermost layer of the application.
    pub fn middleware<M: Middleware>(mut self, middleware: M) -> Self {
        self.parts.given_middleware.push(TypeId::of::<M>());
        self.parts.middleware.insert(TypeId::of::<M>(), MiddlewareEntry::new(Some(middleware)));
        self
    }

    /// Gives the instance of a command handler, with the services it needs.
    pub fn command_handler<H: Send + Sync + 'static>(mut self, handler: H) -> Self {
        self.parts.services.insert_shared(TypeId::of::<H>(), type_name::<H>(), Arc::new(handler));
        self
    }

    /// Registers event types explicitly. Derived types register themselves, unless nothing in the program
    /// mentions the crate they are in.
    pub fn register_events<E: EventSet>(mut self) -> Self {
        self.parts.schemas.extend(E::schemas());
        self
    }

    /// Keeps snapshots in a store of their own.
    pub fn snapshots(mut self, store: impl SnapshotStore) -> Self {
        self.parts.snapshots = Arc::new(store);
        self
    }

    /// Sets the clock that commands are told the time by.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.parts.clock = Arc::new(clock);
        self
    }

    /// Connects the spans of this instance with those that led to them, by what events carry.
    pub fn propagator(mut self, propagator: impl Propagator) -> Self {
        self.parts.propagation = Propagation::new(propagator);
        self
    }

    /// Sets bounds and intervals.
    pub fn config(mut self, config: Config) -> Self {
        self.parts.config = config;
        self
    }

    /// Sets what tells how much memory is in use, by which aggregates leave it when it runs short: see
    /// [`memory_pressure`](crate::memory_pressure). [`SystemMemory`] unless set.
    pub fn memory_meter(mut self, meter: impl MemoryMeter) -> Self {
        self.parts.memory_meter = Arc::new(meter);
        self
    }

    /// Starts the instance: first the store is claimed, then the handlers prepare themselves
    /// ([`EventHandler::init`]) and start where they had come to, then commands are taken.
    ///
    /// # Errors
    /// When the application is put together wrongly, with all faults listed; when an instance of this name
    /// runs on the store in this process already; when the store belongs to another application or fails; when a
    /// handler cannot be prepared.
    ///
    /// # Cancel safety
    /// When the future is dropped, nothing is left running.
    pub async fn start(self) -> Result<A, StartError> {
        let core = start::start(self.parts).await?;
        Ok(A::from_running(crate::application::Running::new(core)))
    }
}

impl<A> fmt::Debug for Builder<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Builder")
            .field("name", &self.parts.name)
            .field("store", &self.parts.store)
            .field("config", &self.parts.config)
            .finish_non_exhaustive()
    }
}

/// Handlers that are given to the builder without being listed.
pub(crate) fn unlisted<'a, T>(
    given: &'a [TypeId],
    listed: &'a [TypeId],
    instances: &'a HashMap<TypeId, T>,
) -> impl Iterator<Item = &'a T> {
    let mut seen = Vec::new();
    given.iter().filter_map(move |id| {
        if listed.contains(id) || seen.contains(id) {
            return None;
        }
        seen.push(*id);
        instances.get(id)
    })
}
