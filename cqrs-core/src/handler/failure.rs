use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::{DecodeError, EventContext};
use crate::projection::ProjectionFailure;
use crate::store::StoreError;
use crate::user_code::CutOff;

/// Why an event was not handled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlerError<E> {
    /// The handler said so.
    #[error("the handler failed")]
    Failed(#[source] E),
    /// The handler panicked.
    #[error("the handler panicked: {0}")]
    Panicked(String),
    /// The handler took longer than [`Config::handling_limit`](crate::application::Config::handling_limit), which is given
    /// here, and was dropped where it waited.
    #[error("the handler took longer than {0:?}")]
    TimedOut(Duration),
    /// What a projection has written could not be committed.
    #[error("what was written could not be committed")]
    NotCommitted(#[source] StoreError),
    /// The stored event could not be decoded; trying again gives the same until the program is changed.
    #[error("the event could not be decoded")]
    Undecodable(#[source] DecodeError),
}

impl<E> From<CutOff> for HandlerError<E> {
    fn from(cut_off: CutOff) -> Self {
        match cut_off {
            CutOff::Panicked(panic) => Self::Panicked(panic),
            CutOff::TimedOut(limit) => Self::TimedOut(limit),
        }
    }
}

/// An event that was not handled, and what is known about the attempts.
///
/// `Context` is what the handler is told about events: [`EventContext`], or that of a projection.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandlerFailure<E, Context = EventContext> {
    /// Why not.
    pub error: HandlerError<E>,
    /// The event.
    pub context: Context,
    /// How many times it was tried, this time included.
    pub attempt: u32,
    /// When it was tried first in this run.
    pub first_failed_at: DateTime<Utc>,
}

/// What becomes of an event that could not be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorAction {
    /// It is tried again at once.
    Retry,
    /// It is tried again after this time. A shutdown does not wait for it.
    RetryAfter(Duration),
    /// It counts as handled.
    Skip,
    /// It is parked: it waits, and the later events of its key wait behind it, in order, while other keys go on.
    /// [`HandlerHandle`](crate::handler::HandlerHandle) lists what is parked, tries it again, or skips it.
    Park,
    /// The handler stops in front of it, until the application is started again, or the handler is removed and added
    /// again.
    Stop,
}

impl<E, Context> HandlerFailure<E, Context> {
    /// How long the event has been failing.
    #[must_use]
    pub fn failing_for(&self, now: DateTime<Utc>) -> Duration {
        (now - self.first_failed_at).to_std().unwrap_or_default()
    }
}

impl<E: fmt::Debug> fmt::Display for HandlerFailure<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write("handler", self.context.handler(), self.context.position(), formatter)
    }
}

impl<E: fmt::Debug> fmt::Display for ProjectionFailure<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write("projection", self.context.projection(), self.context.position(), formatter)
    }
}

impl<E: fmt::Debug, Context> HandlerFailure<E, Context> {
    fn write(
        &self,
        what: &str,
        name: &str,
        position: u64,
        formatter: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        let Self { error, attempt, .. } = self;
        write!(formatter, "{what} {name:?}, position {position}, attempt {attempt}: {error:?}")
    }
}
