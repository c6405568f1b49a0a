use std::fmt;
use std::pin::Pin;

use crate::Services;
use crate::aggregate::{Aggregate, Emitter, Execute};
use crate::command::{Command, CommandContext};

/// Decides on commands of type `C` in the aggregate's stead, as `#[command_handler]` makes it.
///
/// It may be asynchronous and hold services, which the aggregate itself must not: the instance is given to
/// the application's builder, or made by `Default`. It sees the aggregate's state and emits events; it runs
/// alone on its aggregate, and runs again on the newer state when another writer was first.
///
/// # By hand
/// ```
/// # use cqrs_core::{aggregate::*, command::*};
/// struct Rates;
///
/// impl<C: Command> CommandHandler<C> for Rates {
///     async fn handle(
///         &self,
///         _state: &C::Aggregate,
///         _command: &C,
///         _emitter: &mut Emitter<'_, C::Aggregate>,
///         _context: &CommandContext,
///     ) -> Result<(), <C::Aggregate as Aggregate>::Error> {
///         Ok(())
///     }
/// }
/// ```
///
/// It must not dispatch to the aggregate that it decides for: that command would wait for this one.
///
/// A decision that is still in the making when the application's shutdown deadline passes comes to nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not handle the command `{C}`: add `#[cqrs::command_handler]` to an `impl {Self}` with a method that takes it",
    label = "no command handler for `{C}`"
)]
pub trait CommandHandler<C: Command>: Send + Sync + Sized + 'static {
    /// Emits the events that follow from `command` in `state`, or refuses.
    fn handle(
        &self,
        state: &C::Aggregate,
        command: &C,
        emitter: &mut Emitter<'_, C::Aggregate>,
        context: &CommandContext,
    ) -> impl Future<Output = Result<(), <C::Aggregate as Aggregate>::Error>> + Send;

    /// The instance that decides.
    #[doc(hidden)]
    #[must_use]
    fn instance(services: &Services) -> Option<&Self> {
        services.get::<Self>()
    }

    /// [`CommandHandler::handle`], at once when nothing has to be awaited.
    #[doc(hidden)]
    fn run<'a>(
        &'a self,
        state: &'a C::Aggregate,
        command: &'a C,
        emitter: &'a mut Emitter<'_, C::Aggregate>,
        context: &'a CommandContext,
    ) -> Execution<'a, <C::Aggregate as Aggregate>::Error> {
        Execution::Pending(Box::pin(self.handle(state, command, emitter, context)))
    }
}

/// The aggregate itself decides: what commands without a handler type use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Direct;

impl<C: Command> CommandHandler<C> for Direct
where
    C::Aggregate: Execute<C>,
{
    async fn handle(
        &self,
        state: &C::Aggregate,
        command: &C,
        emitter: &mut Emitter<'_, C::Aggregate>,
        context: &CommandContext,
    ) -> Result<(), <C::Aggregate as Aggregate>::Error> {
        state.execute(command, emitter, context)
    }

    fn instance(_: &Services) -> Option<&Self> {
        Some(&Direct)
    }

    fn run<'a>(
        &'a self,
        state: &'a C::Aggregate,
        command: &'a C,
        emitter: &'a mut Emitter<'_, C::Aggregate>,
        context: &'a CommandContext,
    ) -> Execution<'a, <C::Aggregate as Aggregate>::Error> {
        Execution::Ready(state.execute(command, emitter, context))
    }
}

/// A decision, made or in the making.
#[doc(hidden)]
pub enum Execution<'a, E> {
    Ready(Result<(), E>),
    Pending(Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>),
}

impl<E> fmt::Debug for Execution<'_, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ready(_) => "Ready",
            Self::Pending(_) => "Pending",
        })
    }
}
