use crate::handler::HandlerError;
use crate::process_manager::ProcessError;
use crate::projection::RowError;
use crate::publisher::PublishError;
use crate::store::{AppendError, StoreError};

/// What the field `error.type` says of an error: one of a few words, and nothing that somebody wrote.
pub(crate) trait ErrorType {
    fn error_type(&self) -> &'static str;
}

impl ErrorType for StoreError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            _ => "store",
        }
    }
}

impl ErrorType for AppendError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::WrongExpectedVersion { .. } => "conflict",
            Self::OutcomeUnknown { .. } => "outcome_unknown",
            Self::NotProjected { .. } => "not_projected",
            Self::Store(error) => error.error_type(),
            _ => "refused",
        }
    }
}

impl ErrorType for RowError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Fenced { .. } | Self::Behind { .. } => "fenced",
            Self::Refused(_) => "not_committed",
            Self::Store(error) => error.error_type(),
        }
    }
}

impl<E> ErrorType for HandlerError<E> {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::TimedOut(_) => "timed_out",
            Self::NotCommitted(_) => "not_committed",
            Self::Undecodable(_) => "undecodable",
        }
    }
}

impl<E> ErrorType for ProcessError<E> {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::TimedOut(_) => "timed_out",
            Self::Undecodable(_) => "undecodable",
            Self::InvalidInstance { .. } => "invalid_instance",
            Self::AlreadyStarted => "already_started",
            Self::NotStarted => "not_started",
            Self::Unreadable(_) => "unreadable",
            Self::Unwritable(_) => "unwritable",
            Self::Unsendable { .. } => "unsendable",
            Self::InvalidTimer { .. } => "invalid_timer",
            Self::Command { .. } => "command",
        }
    }
}

impl<E> ErrorType for PublishError<E> {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Failed(_) => "failed",
            Self::Panicked(_) => "panicked",
            Self::TimedOut(_) => "timed_out",
            Self::Unconfirmed => "unconfirmed",
            Self::Undecodable(_) => "undecodable",
            Self::Unencodable(_) => "unencodable",
        }
    }
}
