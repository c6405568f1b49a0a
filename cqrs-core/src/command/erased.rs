use std::any::Any;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::Services;
use crate::aggregate::{Aggregate, Emitter};
use crate::command::identity::stream_of;
use crate::command::{
    Command, CommandContext, CommandHandler, Execution, InvalidIdentity, Redaction, ValidationErrors,
};
use crate::store::StreamId;

/// A command of any type, as middleware sees it.
pub struct AnyCommand(Arc<dyn ErasedCommand>);

/// The twin of [`Command`] that can be a `dyn`; the pipeline is compiled once an aggregate, not once a
/// command.
pub(crate) trait ErasedCommand: Any + Send + Sync {
    fn name(&self) -> &'static str;
    fn validate(&self) -> Result<(), ValidationErrors>;
    fn stream_id(&self) -> Result<StreamId, InvalidIdentity>;
    fn to_json(&self) -> Result<Value, serde_json::Error>;
    fn redaction(&self) -> Redaction;
}

impl<C: Command> ErasedCommand for C {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn validate(&self) -> Result<(), ValidationErrors> {
        Command::validate(self)
    }

    fn stream_id(&self) -> Result<StreamId, InvalidIdentity> {
        stream_of(self)
    }

    fn to_json(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }

    fn redaction(&self) -> Redaction {
        C::REDACTION
    }
}

impl AnyCommand {
    pub(crate) fn new(command: impl Command) -> Self {
        Self(Arc::new(command))
    }

    /// The command's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The stream of the aggregate that it is for.
    ///
    /// # Errors
    /// When the command's identity cannot name a stream.
    pub fn stream_id(&self) -> Result<StreamId, InvalidIdentity> {
        self.0.stream_id()
    }

    /// What the command's own validation says.
    ///
    /// # Errors
    /// When a field cannot be right.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        self.0.validate()
    }

    /// The command as JSON.
    ///
    /// # Errors
    /// When the command has no JSON form.
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        self.0.to_json()
    }

    /// The command as JSON, without what is never to be written down ([`Command::REDACTION`]).
    ///
    /// # Errors
    /// When the command has no JSON form.
    pub fn to_redacted_json(&self) -> Result<Value, serde_json::Error> {
        let mut data = self.0.to_json()?;
        self.0.redaction().apply(&mut data);
        Ok(data)
    }

    /// The command, when it is of type `C`.
    #[must_use]
    pub fn downcast_ref<C: Command>(&self) -> Option<&C> {
        let command: &dyn Any = &*self.0;
        command.downcast_ref()
    }

    /// The command, to be changed, when it is of type `C`. Only `before_dispatch` can change a command;
    /// later it is shared with the aggregate, and this gives `None`.
    #[must_use]
    pub fn downcast_mut<C: Command>(&mut self) -> Option<&mut C> {
        let command: &mut dyn Any = Arc::get_mut(&mut self.0)?;
        command.downcast_mut()
    }

    pub(crate) fn shared(command: &Arc<dyn ErasedCommand>) -> Self {
        Self(Arc::clone(command))
    }

    pub(crate) fn share(&self) -> Arc<dyn ErasedCommand> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for AnyCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Executes an erased command on its aggregate: the one function that is compiled for each command type.
pub(crate) type Run<A> = for<'a> fn(
    &'a dyn ErasedCommand,
    &'a Services,
    &'a A,
    &'a mut Emitter<'_, A>,
    &'a CommandContext,
) -> Execution<'a, <A as Aggregate>::Error>;

pub(crate) fn runner<C: Command>() -> Run<C::Aggregate> {
    |command, services, state, emitter, context| {
        let command: &dyn Any = command;
        let command = command.downcast_ref::<C>().expect("a command travels with the runner of its own type");
        let handler = C::Handler::instance(services).expect("start() refuses a handler without an instance");
        handler.run(state, command, emitter, context)
    }
}
