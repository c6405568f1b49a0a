use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::ambient::Ambient;
use crate::application::Core;
use crate::command::Command;
use crate::dispatch::{CallOptions, Consistency, DispatchError, Dispatched, Request, dispatch};
use crate::id::{CausationId, CommandId, CorrelationId};

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

    /// How long the command may take until its events are stored; 5 s unless set. Beyond that,
    /// [`DispatchError::Timeout`] tells whether it may have happened.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.call.defaults = self.call.defaults.timeout(limit);
        self
    }

    /// The command may take for ever.
    pub fn no_timeout(mut self) -> Self {
        self.call.defaults = self.call.defaults.no_timeout();
        self
    }

    /// What the dispatch waits for once the events are stored; nothing unless set.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.call.defaults = self.call.defaults.consistency(consistency);
        self
    }

    /// How long that wait may take; 5 s unless set.
    pub fn consistency_timeout(mut self, limit: Duration) -> Self {
        self.call.defaults = self.call.defaults.consistency_timeout(limit);
        self
    }

    /// The version that the aggregate must have: 0 when it must not exist yet. A dispatch that expects a
    /// version is never executed again on another one.
    pub fn expected_version(mut self, version: u64) -> Self {
        self.call.expected_version = Some(version);
        self
    }

    /// Attaches a value to the command; it is stored with each of its events.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.call.metadata.insert(name, value);
        self
    }

    /// The message that caused the command; the ambient event unless set.
    pub fn causation_id(mut self, id: impl Into<CausationId>) -> Self {
        self.call.causation_id = Some(id.into());
        self
    }

    /// What the command belongs together with; the ambient correlation unless set, a new one where there is
    /// none.
    pub fn correlation_id(mut self, id: CorrelationId) -> Self {
        self.call.correlation_id = Some(id);
        self
    }

    /// The command's id; drawn unless set. Dispatching a command with an id that was carried out before
    /// gives the outcome of that time and changes nothing; a refusal is not remembered.
    pub fn command_id(mut self, id: CommandId) -> Self {
        self.call.command_id = Some(id);
        self
    }

    /// A key under which the command is executed at most once, whatever its id.
    pub fn idempotency_key(mut self, key: impl AsRef<str>) -> Self {
        self.call.idempotency_key = Some(CommandId::from_key(key.as_ref()));
        self
    }

    /// How many times the command is executed again after a version conflict; 10 unless set.
    pub fn retry_attempts(mut self, attempts: u32) -> Self {
        self.call.defaults = self.call.defaults.retry_attempts(attempts);
        self
    }
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
