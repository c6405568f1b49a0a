use std::any::{TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::middleware::{DispatchContext, DispatchFailure, DispatchOutcome, Halt, Middleware};

/// A place for a layer: its type, and how to make an instance when the application is given none.
#[derive(Clone)]
pub struct MiddlewareEntry {
    pub(crate) type_id: TypeId,
    pub(crate) name: &'static str,
    pub(crate) instance: Option<Arc<dyn DynMiddleware>>,
}

impl MiddlewareEntry {
    /// A layer of type `M`; `instance` is `None` when the type has no `Default`, and the application's
    /// builder must then be given one.
    #[must_use]
    pub fn new<M: Middleware>(instance: Option<M>) -> Self {
        let instance = instance.map(|instance| Arc::new(instance) as Arc<dyn DynMiddleware>);
        Self { type_id: TypeId::of::<M>(), name: short_name(type_name::<M>()), instance }
    }
}

impl fmt::Debug for MiddlewareEntry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

/// The last segment of a type's path, generic arguments left out.
pub(crate) fn short_name(path: &'static str) -> &'static str {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

/// The twin of [`Middleware`] that can be a `dyn`.
pub(crate) trait DynMiddleware: Send + Sync {
    fn before<'a>(&'a self, context: &'a mut DispatchContext) -> BoxFuture<'a, Result<(), Halt>>;
    fn after<'a>(
        &'a self,
        context: &'a mut DispatchContext,
        outcome: &'a DispatchOutcome,
    ) -> BoxFuture<'a, ()>;
    fn failed<'a>(
        &'a self,
        context: &'a mut DispatchContext,
        failure: &'a DispatchFailure<'a>,
    ) -> BoxFuture<'a, ()>;
}

// The hooks are called inside the futures, so that whoever awaits one catches a panic of the call as well.
impl<M: Middleware> DynMiddleware for M {
    fn before<'a>(&'a self, context: &'a mut DispatchContext) -> BoxFuture<'a, Result<(), Halt>> {
        Box::pin(async move { self.before_dispatch(context).await })
    }

    fn after<'a>(
        &'a self,
        context: &'a mut DispatchContext,
        outcome: &'a DispatchOutcome,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.after_dispatch(context, outcome).await })
    }

    fn failed<'a>(
        &'a self,
        context: &'a mut DispatchContext,
        failure: &'a DispatchFailure<'a>,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move { self.after_failure(context, failure).await })
    }
}
