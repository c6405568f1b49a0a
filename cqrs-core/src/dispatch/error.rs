use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::BoxError;
use crate::aggregate::ReplayError;
use crate::application::ApplicationState;
use crate::command::{InvalidIdentity, ValidationErrors};
use crate::handler::HandlerState;
use crate::id::CommandId;
use crate::middleware::{DispatchOutcome, FailureKind};
use crate::projection::InlineError;
use crate::store::{AppendError, StreamId};

/// Why a dispatch failed. `E` is the aggregate's own error.
///
/// Unless [`DispatchError::is_committed`] or [`DispatchError::is_outcome_unknown`] says otherwise, this
/// dispatch stored nothing. A command whose id or key the caller chose may have been carried out by an earlier
/// dispatch when this one failed before its aggregate was reached: by a layer, by its own validation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError<E> {
    /// The domain said no.
    #[error(transparent)]
    Rejected(E),
    /// The command is wrong by itself.
    #[error("command {command} ({command_id}) is not valid")]
    Invalid {
        /// The command's name.
        command: &'static str,
        /// The command's id.
        command_id: CommandId,
        /// What is wrong, field by field.
        #[source]
        errors: ValidationErrors,
    },
    /// The command's identity cannot name a stream.
    #[error("command {command} ({command_id}) does not identify an aggregate")]
    InvalidIdentity {
        /// The command's name.
        command: &'static str,
        /// The command's id.
        command_id: CommandId,
        /// Why not.
        #[source]
        source: InvalidIdentity,
    },
    /// The aggregate does not have the version that the caller expects.
    #[error(
        "command {command_id}: stream {stream_id:?} was expected at version {expected}, it is at {actual}"
    )]
    WrongExpectedVersion {
        /// The command's id.
        command_id: CommandId,
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// The version that the caller expects.
        expected: u64,
        /// The version that it has.
        actual: u64,
    },
    /// The command took too long.
    #[error("command {command} ({command_id}) took longer than {limit:?}; {outcome}")]
    Timeout {
        /// The command's name.
        command: &'static str,
        /// The command's id.
        command_id: CommandId,
        /// The limit.
        limit: Duration,
        /// Whether its events may be stored all the same.
        outcome: TimeoutOutcome,
    },
    /// A layer of middleware refused the command.
    #[error("command {command_id} was halted by {middleware}")]
    Halted {
        /// The command's id.
        command_id: CommandId,
        /// The layer.
        middleware: &'static str,
        /// Its reason.
        #[source]
        source: BoxError,
    },
    /// Other writers were first each time.
    #[error("command {command_id}: stream {stream_id:?} changed under each of {attempts} attempts")]
    TooManyAttempts {
        /// The command's id.
        command_id: CommandId,
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// How many times the command was executed.
        attempts: u32,
    },
    /// An event is larger than the application allows.
    #[error("command {command_id}: event {event_type} has {size} bytes, {limit} are allowed")]
    PayloadTooLarge {
        /// The command's id.
        command_id: CommandId,
        /// The event's wire name.
        event_type: &'static str,
        /// Its size, encoded.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The events, or the state, are larger together than the store takes at once.
    #[error(
        "command {command_id}: the events of stream {stream_id:?} have {size} bytes, the store takes {limit}"
    )]
    TooLarge {
        /// The command's id.
        command_id: CommandId,
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// Their size, as the store counts.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// An event, or the state of a state-stored aggregate, has no JSON form.
    #[error("command {command_id}: {what} cannot be encoded")]
    Unencodable {
        /// The command's id.
        command_id: CommandId,
        /// The wire name of the event, or the name of the aggregate.
        what: &'static str,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// User code panicked.
    #[error("command {command_id}: {place} panicked: {message}")]
    Panicked {
        /// The command's id.
        command_id: CommandId,
        /// Whose code it was.
        place: PanicPlace,
        /// The panic's message.
        message: String,
    },
    /// The aggregate's state could not be read from the store.
    #[error("command {command_id}: stream {stream_id:?} could not be replayed")]
    Replay {
        /// The command's id.
        command_id: CommandId,
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// Why not.
        #[source]
        source: Box<ReplayError>,
    },
    /// The store refused the events or failed, and nothing was written.
    #[error("command {command_id}: the events of stream {stream_id:?} could not be stored")]
    Store {
        /// The command's id.
        command_id: CommandId,
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// Why not.
        #[source]
        source: Box<AppendError>,
    },
    /// An inline projection did not take the events, and nothing was stored.
    #[error(
        "command {command_id}: inline projection {projection:?} did not take the events of stream {stream_id:?}"
    )]
    NotProjected {
        /// The command's id.
        command_id: CommandId,
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// The projection.
        projection: String,
        /// Why not.
        #[source]
        source: Box<InlineError>,
    },
    /// The store lost sight of the events: they may be written or not. Dispatching the command again with
    /// the same id is safe and tells.
    #[error("command {command_id}: whether the events of stream {stream_id:?} were stored is unknown")]
    OutcomeUnknown {
        /// The command's id.
        command_id: CommandId,
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// What went wrong.
        #[source]
        source: Box<AppendError>,
    },
    /// The command is carried out, by this dispatch or an earlier one of its id, but what came of it cannot be
    /// told: its events could not be read back, or have no JSON form.
    #[error("command {command_id} is committed on stream {stream_id:?}, but its outcome cannot be told")]
    Untold {
        /// The command's id.
        command_id: CommandId,
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// Why not.
        #[source]
        source: BoxError,
    },
    /// The command's id, or its idempotency key, was used before for another aggregate.
    #[error("command {command_id}: its id was used before, for stream {first:?} instead of {stream_id:?}")]
    IdReused {
        /// The command's id.
        command_id: CommandId,
        /// The stream of this command's aggregate.
        stream_id: StreamId,
        /// The stream of the first command's aggregate.
        first: StreamId,
    },
    /// The events are stored, but handlers that the dispatch waits for have not handled them in time.
    #[error("command {command_id} is committed, but not handled yet by {}", names(pending), command_id = outcome.command_id)]
    NotHandled {
        /// What was stored.
        outcome: Box<DispatchOutcome>,
        /// Who is behind.
        pending: Vec<Pending>,
    },
    /// The application does not take commands, not yet or no more.
    #[error("application {application:?} is {state}")]
    NotRunning {
        /// The application's name.
        application: String,
        /// What it is doing.
        state: ApplicationState,
    },
    /// A dispatch waits for a handler of this name, but there is none.
    #[error("application {application:?} has no handler {handler:?} to wait for")]
    UnknownHandler {
        /// The application's name.
        application: String,
        /// The handler's name.
        handler: String,
    },
    /// No command of this name is routed; or the command implements `Command` by hand and is not registered.
    #[error(
        "application {application:?} knows no command {command:?}; one that is implemented by hand needs \
         `register_command!`"
    )]
    UnknownCommand {
        /// The application's name.
        application: String,
        /// The command's name.
        command: String,
    },
    /// The JSON does not fit the command. Only a dispatch by name can meet this.
    #[error("the data does not fit command {command:?}")]
    Malformed {
        /// The command's name.
        command: String,
        /// What does not fit.
        #[source]
        source: BoxError,
    },
}

/// Whether the events of a command that took too long may be stored all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutOutcome {
    /// Nothing was stored, and nothing will be.
    DidNotRun,
    /// The events were on their way to the store; or the caller chose the command's id, and the store had not
    /// said yet whether it was carried out before. Dispatching the command again with the same id is safe and
    /// tells.
    Unknown,
}

impl fmt::Display for TimeoutOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DidNotRun => "nothing was stored",
            Self::Unknown => "its outcome is unknown",
        })
    }
}

/// Whose code panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PanicPlace {
    /// The aggregate, in executing the command, applying an event or being decoded; or the command handler.
    Aggregate(&'static str),
    /// A layer of middleware.
    Middleware(&'static str),
    /// The command, in validating or identifying itself.
    Command(&'static str),
}

impl fmt::Display for PanicPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aggregate(name) => write!(formatter, "aggregate {name}"),
            Self::Middleware(name) => write!(formatter, "middleware {name}"),
            Self::Command(name) => write!(formatter, "command {name}"),
        }
    }
}

/// A handler that a dispatch waited for in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// The handler's name.
    pub handler: String,
    /// How far it has come.
    pub position: u64,
    /// What it is doing; a handler that stopped will not come further by itself.
    pub state: HandlerState,
    /// It has parked the events, or they wait behind one that is parked: they are handled when somebody says so. Of a
    /// handler that runs on another node it is known which events failed; which wait behind them, if it keeps the order by
    /// streams.
    pub is_parked: bool,
}

fn names(pending: &[Pending]) -> String {
    let name = |Pending { handler, state, is_parked, .. }: &Pending| match is_parked {
        true => format!("{handler} (parked)"),
        false => format!("{handler} ({state})"),
    };
    pending.iter().map(name).collect::<Vec<_>>().join(", ")
}

impl<E> DispatchError<E> {
    /// Whether the events are stored in spite of the error.
    #[must_use]
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::NotHandled { .. } | Self::Untold { .. })
    }

    /// Whether it is unknown if the events are stored.
    #[must_use]
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::OutcomeUnknown { .. } | Self::Timeout { outcome: TimeoutOutcome::Unknown, .. })
    }

    /// Whether another writer was first.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind() == FailureKind::Conflict
    }

    /// The domain's own error.
    #[must_use]
    pub fn rejection(&self) -> Option<&E> {
        match self {
            Self::Rejected(error) => Some(error),
            _ => None,
        }
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Rejected(_) => FailureKind::Rejected,
            Self::Invalid { .. }
            | Self::InvalidIdentity { .. }
            | Self::PayloadTooLarge { .. }
            | Self::TooLarge { .. }
            | Self::Unencodable { .. }
            | Self::IdReused { .. }
            | Self::UnknownHandler { .. }
            | Self::UnknownCommand { .. }
            | Self::Malformed { .. } => FailureKind::Invalid,
            Self::WrongExpectedVersion { .. } | Self::TooManyAttempts { .. } => FailureKind::Conflict,
            Self::Timeout { .. } => FailureKind::Timeout,
            Self::Halted { .. } => FailureKind::Halted,
            Self::Panicked { .. } => FailureKind::Panicked,
            Self::Replay { .. } | Self::Store { .. } | Self::OutcomeUnknown { .. } | Self::Untold { .. } => {
                FailureKind::Store
            }
            Self::NotProjected { .. } => FailureKind::NotProjected,
            Self::NotHandled { .. } => FailureKind::NotHandled,
            Self::NotRunning { .. } => FailureKind::NotRunning,
        }
    }

    /// Changes the type of the domain's error.
    pub fn map_rejection<F>(self, map: impl FnOnce(E) -> F) -> DispatchError<F> {
        match self {
            Self::Rejected(error) => DispatchError::Rejected(map(error)),
            Self::Invalid { command, command_id, errors } => {
                DispatchError::Invalid { command, command_id, errors }
            }
            Self::InvalidIdentity { command, command_id, source } => {
                DispatchError::InvalidIdentity { command, command_id, source }
            }
            Self::WrongExpectedVersion { command_id, stream_id, expected, actual } => {
                DispatchError::WrongExpectedVersion { command_id, stream_id, expected, actual }
            }
            Self::Timeout { command, command_id, limit, outcome } => {
                DispatchError::Timeout { command, command_id, limit, outcome }
            }
            Self::Halted { command_id, middleware, source } => {
                DispatchError::Halted { command_id, middleware, source }
            }
            Self::TooManyAttempts { command_id, stream_id, attempts } => {
                DispatchError::TooManyAttempts { command_id, stream_id, attempts }
            }
            Self::PayloadTooLarge { command_id, event_type, size, limit } => {
                DispatchError::PayloadTooLarge { command_id, event_type, size, limit }
            }
            Self::TooLarge { command_id, stream_id, size, limit } => {
                DispatchError::TooLarge { command_id, stream_id, size, limit }
            }
            Self::Unencodable { command_id, what, source } => {
                DispatchError::Unencodable { command_id, what, source }
            }
            Self::Panicked { command_id, place, message } => {
                DispatchError::Panicked { command_id, place, message }
            }
            Self::Replay { command_id, stream_id, source } => {
                DispatchError::Replay { command_id, stream_id, source }
            }
            Self::Store { command_id, stream_id, source } => {
                DispatchError::Store { command_id, stream_id, source }
            }
            Self::NotProjected { command_id, stream_id, projection, source } => {
                DispatchError::NotProjected { command_id, stream_id, projection, source }
            }
            Self::OutcomeUnknown { command_id, stream_id, source } => {
                DispatchError::OutcomeUnknown { command_id, stream_id, source }
            }
            Self::Untold { command_id, stream_id, source } => {
                DispatchError::Untold { command_id, stream_id, source }
            }
            Self::IdReused { command_id, stream_id, first } => {
                DispatchError::IdReused { command_id, stream_id, first }
            }
            Self::NotHandled { outcome, pending } => DispatchError::NotHandled { outcome, pending },
            Self::NotRunning { application, state } => DispatchError::NotRunning { application, state },
            Self::UnknownHandler { application, handler } => {
                DispatchError::UnknownHandler { application, handler }
            }
            Self::UnknownCommand { application, command } => {
                DispatchError::UnknownCommand { application, command }
            }
            Self::Malformed { command, source } => DispatchError::Malformed { command, source },
        }
    }
}

/// The domain's error of any aggregate, where commands are dispatched by name.
#[derive(Debug)]
pub struct Rejection(BoxError);

impl Rejection {
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }

    /// The error, when it is of type `E`.
    #[must_use]
    pub fn downcast_ref<E: Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Error for Rejection {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
