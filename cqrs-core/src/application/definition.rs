use std::ops::Deref;

use crate::application::{Builder, Running};
use crate::dispatch::DispatchDefaults;
use crate::handler::HandlerEntry;
use crate::middleware::MiddlewareEntry;
use crate::process_manager::ProcessManager;
use crate::projection::ProjectionEntry;
use crate::publisher::Publisher;
use crate::router::{RouterDefinition, RouterList};
use crate::store::Store;

/// An application, as `application!` makes it: a cheap handle to a running instance.
///
/// All that can be done with it stands at [`Running`], which it derefs to.
///
/// # By hand
/// ```
/// use cqrs_core::application::{Application, Running};
///
/// #[derive(Clone)]
/// struct Bank(Running<Bank>);
///
/// impl std::ops::Deref for Bank {
///     type Target = Running<Bank>;
///     fn deref(&self) -> &Running<Bank> {
///         &self.0
///     }
/// }
///
/// impl Application for Bank {
///     const NAME: &'static str = "Bank";
///     type Routers = ();
///
///     fn from_running(running: Running<Self>) -> Self {
///         Self(running)
///     }
/// }
/// ```
pub trait Application: Clone + Send + Sync + Deref<Target = Running<Self>> + Sized + 'static {
    /// The name of instances that are given none.
    const NAME: &'static str;

    /// The routers whose commands it carries: `()`, or a list `(First, (Second, ()))`.
    type Routers: RouterList;

    /// Its handlers, middleware and defaults.
    fn definition() -> Definition {
        Definition::new()
    }

    /// Wraps the running instance.
    fn from_running(running: Running<Self>) -> Self;

    /// Binds an instance to a store.
    fn builder(store: impl Store) -> Builder<Self> {
        Builder::new(store)
    }
}

/// What an application is made of, beside its routers.
#[derive(Debug, Default)]
#[must_use]
pub struct Definition {
    pub(crate) event_handlers: Vec<HandlerEntry>,
    pub(crate) middleware: Vec<MiddlewareEntry>,
    pub(crate) defaults: DispatchDefaults,
    pub(crate) routers: Vec<RouterDefinition>,
}

impl Definition {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event handler.
    pub fn event_handler(mut self, entry: HandlerEntry) -> Self {
        self.event_handlers.push(entry);
        self
    }

    /// Adds a projection.
    pub fn projection(mut self, entry: ProjectionEntry) -> Self {
        self.event_handlers.push(entry.0);
        self
    }

    /// Adds a process manager.
    pub fn process_manager<P: ProcessManager>(mut self) -> Self {
        self.event_handlers.push(HandlerEntry::process_manager::<P>());
        self
    }

    /// Adds a publisher; without an `instance` the builder must be given one.
    pub fn publisher<P: Publisher>(mut self, instance: Option<P>) -> Self {
        self.event_handlers.push(HandlerEntry::publisher(instance));
        self
    }

    /// Adds a layer of middleware inside those added before.
    pub fn middleware(mut self, entry: MiddlewareEntry) -> Self {
        self.middleware.push(entry);
        self
    }

    /// Sets the defaults of dispatch.
    pub fn defaults(mut self, defaults: DispatchDefaults) -> Self {
        self.defaults = defaults;
        self
    }

    pub(crate) fn of<A: Application>() -> Self {
        Self { routers: A::Routers::definitions(), ..A::definition() }
    }
}
