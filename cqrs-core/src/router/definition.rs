use std::any::TypeId;
use std::fmt;

use crate::dispatch::DispatchDefaults;
use crate::middleware::MiddlewareEntry;
use crate::router::RouterList;

/// A group of commands, as `#[derive(Router)]` makes it.
///
/// A command names its router; an application lists the routers whose commands it carries. A router may
/// include others: whoever lists it carries their commands as well, and its middleware and defaults lie
/// around theirs.
///
/// # By hand
/// ```
/// use cqrs_core::router::{Router, RouterDefinition};
///
/// struct BankRouter;
///
/// impl Router for BankRouter {
///     const NAME: &'static str = "BankRouter";
///     type Includes = ();
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a router: add `#[derive(cqrs::Router)]` to it",
    label = "not a router"
)]
pub trait Router: Sized + 'static {
    /// The name, for messages.
    const NAME: &'static str;

    /// The routers that this one includes: `()`, or a list `(First, (Second, ()))`.
    type Includes: RouterList;

    /// Its middleware and defaults.
    #[must_use]
    fn definition() -> RouterDefinition {
        RouterDefinition::of::<Self>()
    }
}

/// What a router adds to the dispatch of its commands.
pub struct RouterDefinition {
    pub(crate) type_id: TypeId,
    pub(crate) name: &'static str,
    pub(crate) middleware: Vec<MiddlewareEntry>,
    pub(crate) defaults: DispatchDefaults,
    pub(crate) includes: Vec<RouterDefinition>,
}

impl RouterDefinition {
    /// The definition of a router with neither middleware nor defaults.
    #[must_use]
    pub fn of<R: Router>() -> Self {
        Self {
            type_id: TypeId::of::<R>(),
            name: R::NAME,
            middleware: Vec::new(),
            defaults: DispatchDefaults::new(),
            includes: R::Includes::definitions(),
        }
    }

    /// Adds a layer of middleware inside those added before.
    #[must_use]
    pub fn middleware(mut self, entry: MiddlewareEntry) -> Self {
        self.middleware.push(entry);
        self
    }

    /// Sets the defaults.
    #[must_use]
    pub fn defaults(mut self, defaults: DispatchDefaults) -> Self {
        self.defaults = defaults;
        self
    }
}

impl fmt::Debug for RouterDefinition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RouterDefinition")
            .field("name", &self.name)
            .field("middleware", &self.middleware)
            .field("defaults", &self.defaults)
            .field("includes", &self.includes)
            .finish_non_exhaustive()
    }
}
