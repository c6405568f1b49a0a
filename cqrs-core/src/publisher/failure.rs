use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::event::DecodeError;
use crate::handler::{ErrorAction, Failure, RetryPolicy};
use crate::publisher::Message;
use crate::user_code::CutOff;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError<E> {
    /// The publisher said so.
    #[error("the publisher failed")]
    Failed(#[source] E),
    /// The publisher panicked.
    #[error("the publisher panicked: {0}")]
    Panicked(String),
    /// The publisher took longer than [`Config::handling_limit`](crate::application::Config::handling_limit), which is given
    /// here, and was dropped where it waited. The broker may have taken some of the messages.
    #[error("the publisher took longer than {0:?}")]
    TimedOut(Duration),
    /// Not even the first message was confirmed.
    #[error("the broker confirmed nothing")]
    Unconfirmed,
    /// The stored event could not be decoded; trying again gives the same until the program is changed.
    #[error("the event could not be decoded")]
    Undecodable(#[source] DecodeError),
    /// The message has no JSON form; trying again gives the same until the program is changed.
    #[error("the message could not be encoded")]
    Unencodable(#[source] serde_json::Error),
}

impl<E> From<CutOff> for PublishError<E> {
    fn from(cut_off: CutOff) -> Self {
        match cut_off {
            CutOff::Panicked(panic) => Self::Panicked(panic),
            CutOff::TimedOut(limit) => Self::TimedOut(limit),
        }
    }
}

/// Messages that were not published, and what is known about the attempts.
#[derive(Debug)]
#[non_exhaustive]
pub struct PublishFailure<E> {
    /// Why not.
    pub error: PublishError<E>,
    /// The messages, at least one, unless an event could not be made a message.
    pub messages: Vec<Message>,
    /// The position of the first event that is not published.
    pub position: u64,
    /// How many times it was tried since anything was published, this time included.
    pub attempt: u32,
    /// When it failed first in this run.
    pub first_failed_at: DateTime<Utc>,
}

impl<E> PublishFailure<E> {
    /// What is done by default: the messages are tried again for ever, after 100 ms at first, twice as long before each
    /// further attempt, at most 30 s; each delay is a random time between half of it and all of it. In front of an event
    /// that cannot be made a message the publisher stops.
    ///
    /// ```
    /// use cqrs_core::handler::ErrorAction;
    /// use cqrs_core::publisher::{PublishError, PublishFailure};
    ///
    /// # #[derive(Debug)] enum BrokerError { TooLarge, Away }
    /// fn on_error(failure: &PublishFailure<BrokerError>) -> ErrorAction {
    ///     match failure.error {
    ///         PublishError::Failed(BrokerError::TooLarge) => ErrorAction::Park,
    ///         _ => failure.retry_for_ever(),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn retry_for_ever(&self) -> ErrorAction {
        RetryPolicy::exponential(Duration::from_millis(100), Duration::from_secs(30))
            .attempts(u32::MAX)
            .finally(ErrorAction::Stop)
            .decide(self)
    }

    /// How long publishing has been failing.
    #[must_use]
    pub fn failing_for(&self, now: DateTime<Utc>) -> Duration {
        (now - self.first_failed_at).to_std().unwrap_or_default()
    }
}

impl<E> Failure for PublishFailure<E> {
    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn is_final(&self) -> bool {
        matches!(self.error, PublishError::Undecodable(_) | PublishError::Unencodable(_))
    }
}
