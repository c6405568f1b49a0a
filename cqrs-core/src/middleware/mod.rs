//! Middleware: layers around the execution of a command.
//!
//! The layers form an onion: those of the application lie outside, those of the command's router inside.
//! `before_dispatch` runs from the outside in; when a layer halts, the ones inside it are not entered.
//! `after_dispatch` or `after_failure` then runs from the inside out, for entered layers only; with strong
//! consistency that is after the handlers have handled.
//!
//! Ready-made layers: [`RequestLog`], [`Audit`], [`Validation`], [`Idempotency`], [`Authorization`], [`TimeLimit`].

mod audit;
mod authorization;
mod chain;
mod context;
mod entry;
mod extensions;
mod idempotency;
mod request_log;
mod time_limit;
mod validation;

pub use audit::{Audit, NotAudited};
pub use authorization::{Authorization, Authorize, Forbidden};
pub use context::{DispatchContext, DispatchFailure, DispatchOutcome, FailureKind};
pub use entry::MiddlewareEntry;
pub use extensions::Extensions;
pub use idempotency::{Idempotency, MissingIdempotencyKey};
pub use request_log::RequestLog;
pub use time_limit::TimeLimit;
pub use validation::Validation;

pub(crate) use chain::{Chain, Halted, Layer, within};

use std::fmt;

use crate::BoxError;

/// A layer around the execution of commands. All methods have a default that does nothing.
///
/// ```
/// use cqrs_core::middleware::{DispatchContext, Halt, Middleware};
///
/// struct ReadOnly;
///
/// impl Middleware for ReadOnly {
///     async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
///         context.metadata_mut().insert("seen-by", "ReadOnly");
///         Err(Halt::refuse("the system is read-only until noon"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a middleware: implement `cqrs::middleware::Middleware` for it",
    label = "not a middleware"
)]
pub trait Middleware: Send + Sync + 'static {
    /// Before the command is executed: may change the command and its options, and may halt.
    fn before_dispatch(
        &self,
        context: &mut DispatchContext,
    ) -> impl Future<Output = Result<(), Halt>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// After success: the events are stored, and handlers have handled them if the dispatch waits for that.
    fn after_dispatch(
        &self,
        context: &mut DispatchContext,
        outcome: &DispatchOutcome,
    ) -> impl Future<Output = ()> + Send {
        let _ = (context, outcome);
        async {}
    }

    /// After any failure, a halt by a layer inside this one included.
    fn after_failure(
        &self,
        context: &mut DispatchContext,
        failure: &DispatchFailure<'_>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (context, failure);
        async {}
    }
}

/// Why a layer does not let a command through.
pub struct Halt(pub(crate) HaltKind);

pub(crate) enum HaltKind {
    Refused(BoxError),
    Responded,
    Repeat,
}

impl Halt {
    /// The dispatch fails with [`DispatchError::Halted`](crate::dispatch::DispatchError::Halted) and this
    /// error as its source.
    #[must_use]
    pub fn refuse(error: impl Into<BoxError>) -> Self {
        Self(HaltKind::Refused(error.into()))
    }

    /// The dispatch succeeds without executing the command. The caller finds `response` in the
    /// [`extensions`](crate::dispatch::Dispatched::extensions) of what it gets, beside the aggregate as it
    /// stands.
    #[must_use]
    pub fn respond<T: Clone + Send + Sync + 'static>(context: &mut DispatchContext, response: T) -> Self {
        context.extensions_mut().insert(response);
        Self(HaltKind::Responded)
    }

    /// The dispatch gives the outcome that the command's id had when it was dispatched first.
    pub(crate) fn repeat() -> Self {
        Self(HaltKind::Repeat)
    }
}

impl fmt::Debug for Halt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HaltKind::Refused(error) => formatter.debug_tuple("Refused").field(error).finish(),
            HaltKind::Responded => formatter.write_str("Responded"),
            HaltKind::Repeat => formatter.write_str("Repeat"),
        }
    }
}
