use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;

use crate::ambient::Ambient;
use crate::application::Core;
use crate::command::Command;
use crate::dispatch::setters::option_setters;
use crate::dispatch::{CallOptions, DispatchError, Dispatched, Request, dispatch};

/// A dispatch that has not begun: options can be set, `.await` runs it.
///
/// What is not set here is taken from the command, its router, the application and the framework, the first
/// of them that says something. A dispatch made inside an event handler inherits correlation and causation
/// from the event.
///
/// # Cancel safety
/// Dropping the future gives the command up, unless its events are on their way to the store by then: an
/// append is never cut in half. What layers do after a dispatch is not done.
#[must_use = "a dispatch does nothing until it is awaited"]
pub struct Dispatch<C: Command> {
    core: Arc<Core>,
    command: C,
    call: CallOptions,
    ambient: Option<Ambient>,
}

impl<C: Command> Dispatch<C> {
    pub(crate) fn new(core: Arc<Core>, command: C) -> Self {
        Self { core, command, call: CallOptions::default(), ambient: Ambient::current() }
    }

    option_setters!();
}

impl<C: Command> IntoFuture for Dispatch<C> {
    type Output =
        Result<Dispatched<C::Aggregate>, DispatchError<<C::Aggregate as crate::aggregate::Aggregate>::Error>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { core, command, call, ambient } = self;
        let request = Request::new(command, call, ambient);
        Box::pin(async move { dispatch(&core, request).await })
    }
}

impl<C: Command> fmt::Debug for Dispatch<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Dispatch")
            .field("command", &C::NAME)
            .field("options", &self.call)
            .finish_non_exhaustive()
    }
}
