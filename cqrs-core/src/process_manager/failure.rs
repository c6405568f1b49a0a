use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::dispatch::{DispatchError, Rejection};
use crate::event::{DecodeError, EventContext};
use crate::handler::Failure;
use crate::process_manager::SentCommand;
use crate::process_manager::settle::is_gone;
use crate::user_code::CutOff;

/// Why something did not go on in a process manager.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError<E> {
    /// The process manager said so.
    #[error("the process manager failed")]
    Failed(#[source] E),
    /// The process manager panicked.
    #[error("the process manager panicked: {0}")]
    Panicked(String),
    /// The process manager took longer than [`Config::handling_limit`](crate::application::Config::handling_limit), which
    /// is given here, and was dropped where it waited.
    #[error("the process manager took longer than {0:?}")]
    TimedOut(Duration),
    /// The stored event could not be decoded; trying again gives the same until the program is changed.
    #[error("the event could not be decoded")]
    Undecodable(#[source] DecodeError),
    /// The event leads to an instance whose identity cannot be written down: it has more than 255 bytes, or a NUL character.
    #[error(
        "{instance:?} cannot name an instance: have `interest` give at most 255 bytes without a NUL character"
    )]
    InvalidInstance {
        /// The identity.
        instance: String,
    },
    /// The event must begin an instance, and there is one.
    #[error("the instance has been started already")]
    AlreadyStarted,
    /// The event is for an instance that must be there, and there is none.
    #[error("the instance has not been started")]
    NotStarted,
    /// The state of the instance was written by another version of the program, and does not fit the type.
    #[error("the state of the instance cannot be read: {0}")]
    Unreadable(String),
    /// The state of the instance has no JSON form.
    #[error("the state of the instance cannot be written")]
    Unwritable(#[source] serde_json::Error),
    /// A command has no JSON form.
    #[error("the command {command} cannot be encoded")]
    Unsendable {
        /// The command's name.
        command: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A deadline or scheduled command has a name that cannot be written down: it has more than 255 bytes, or a NUL character.
    #[error(
        "{name:?} cannot name a deadline or scheduled command: give it at most 255 bytes without a NUL character"
    )]
    InvalidTimer {
        /// The name.
        name: String,
    },
    /// A command was not carried out.
    #[error("the command {} was not carried out", .command.name())]
    Command {
        /// The command.
        command: Box<SentCommand>,
        /// Why not.
        #[source]
        source: Box<DispatchError<Rejection>>,
    },
}

impl<E> From<CutOff> for ProcessError<E> {
    fn from(cut_off: CutOff) -> Self {
        match cut_off {
            CutOff::Panicked(panic) => Self::Panicked(panic),
            CutOff::TimedOut(limit) => Self::TimedOut(limit),
        }
    }
}

/// An event, a deadline or a command that failed, and what is known about the attempts.
#[derive(Debug)]
#[non_exhaustive]
pub struct ProcessFailure<E> {
    /// Why.
    pub error: ProcessError<E>,
    /// The identity of the instance.
    pub instance: String,
    /// The event that failed; `None` when it was something else.
    pub event: Option<EventContext>,
    /// The commands of the instance that have not been sent, those of the failing event left out.
    pub pending: Vec<SentCommand>,
    /// Whether it is a compensation that failed.
    pub is_compensating: bool,
    /// How many times it was tried, this time included.
    pub attempt: u32,
    /// When it was tried first in this run.
    pub first_failed_at: DateTime<Utc>,
}

impl<E> ProcessFailure<E> {
    /// The command that failed, if it was one.
    #[must_use]
    pub fn command(&self) -> Option<&SentCommand> {
        match &self.error {
            ProcessError::Command { command, .. } => Some(command),
            _ => None,
        }
    }
}

impl<E> Failure for ProcessFailure<E> {
    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn is_final(&self) -> bool {
        match &self.error {
            ProcessError::Failed(_) | ProcessError::Panicked(_) | ProcessError::TimedOut(_) => false,
            ProcessError::Command { source, .. } => is_final(source),
            _ => true,
        }
    }
}

/// Whether the same command would fail again.
fn is_final(error: &DispatchError<Rejection>) -> bool {
    matches!(
        error,
        DispatchError::Rejected(_)
            | DispatchError::Invalid { .. }
            | DispatchError::InvalidIdentity { .. }
            | DispatchError::PayloadTooLarge { .. }
            | DispatchError::TooLarge { .. }
            | DispatchError::Unencodable { .. }
            | DispatchError::IdReused { .. }
            | DispatchError::UnknownCommand { .. }
            | DispatchError::Malformed { .. }
    ) || is_gone(error)
}
