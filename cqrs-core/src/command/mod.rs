//! Commands: intents, which say by themselves what router carries them, which aggregate runs them, and what
//! identifies it.

mod context;
mod erased;
mod handler;
mod identity;
mod redaction;
mod registration;
mod validation;

pub use context::CommandContext;
pub use erased::AnyCommand;
pub use handler::{CommandHandler, Direct, Execution};
pub use identity::InvalidIdentity;
pub use redaction::Redaction;
pub use registration::CommandRegistration;
pub use validation::{FieldError, ValidationErrors};

#[doc(inline)]
pub use crate::register_command;

pub(crate) use erased::{ErasedCommand, Run, runner};
pub(crate) use identity::{check_prefix, stream_id};

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::Aggregate;
use crate::dispatch::DispatchDefaults;
use crate::router::Router;

/// An intent, as `#[derive(Command)]` makes it.
///
/// # By hand
/// ```
/// # use cqrs_core::{aggregate::*, command::*, event::*, router::*};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)] struct Opened;
/// # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
/// # cqrs_core::event::event_set_of_one!(Opened);
/// # #[derive(Default, Clone)] struct Account;
/// # impl Aggregate for Account {
/// #     type Event = Opened;
/// #     type Error = std::convert::Infallible;
/// #     const NAME: &'static str = "Account";
/// #     const STREAM_PREFIX: &'static str = "account";
/// #     fn apply(&mut self, _: &Opened) {}
/// # }
/// # impl Execute<Open> for Account {
/// #     fn execute(&self, _: &Open, emitter: &mut Emitter<'_, Self>, _: &CommandContext) -> Result<(), Self::Error> {
/// #         emitter.emit(Opened);
/// #         Ok(())
/// #     }
/// # }
/// # struct BankRouter;
/// # impl Router for BankRouter { const NAME: &'static str = "BankRouter"; type Includes = (); }
/// #[derive(Serialize, Deserialize)]
/// struct Open { account_id: String }
///
/// impl Command for Open {
///     type Router = BankRouter;
///     type Aggregate = Account;
///     type Handler = Direct;
///     const NAME: &'static str = "Open";
///
///     fn identity(&self) -> impl std::fmt::Display {
///         &self.account_id
///     }
/// }
///
/// cqrs_core::command::register_command!(Open);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command: add `#[derive(cqrs::Command)]` and `#[command(router = .., aggregate = .., identify_by = ..)]` to it",
    label = "not a command"
)]
pub trait Command: Serialize + DeserializeOwned + Send + Sync + Sized + 'static {
    /// The router that carries it.
    type Router: Router;

    /// The aggregate that runs it.
    type Aggregate: Aggregate;

    /// Who decides: [`Direct`] when the aggregate does by itself.
    type Handler: CommandHandler<Self>;

    /// The name under which adapters dispatch it.
    const NAME: &'static str;

    /// What of it is never written down, for instance by an audit.
    const REDACTION: Redaction = Redaction::NOTHING;

    /// What identifies the aggregate: shown, it must be neither empty nor too long (see
    /// [`StreamId`](crate::store::StreamId)).
    fn identity(&self) -> impl fmt::Display;

    /// What the aggregate's stream id begins with, before a `-`.
    #[must_use]
    fn stream_prefix() -> Cow<'static, str> {
        Cow::Borrowed(<Self::Aggregate as Aggregate>::STREAM_PREFIX)
    }

    /// Checks the command by itself, before anything is loaded. It is called on every path.
    ///
    /// # Errors
    /// When a field cannot be right, whatever the aggregate's state.
    fn validate(&self) -> Result<(), ValidationErrors> {
        Ok(())
    }

    /// Options of dispatch for this command.
    fn defaults() -> DispatchDefaults {
        DispatchDefaults::new()
    }
}
