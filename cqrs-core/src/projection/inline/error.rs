use std::time::Duration;

use crate::BoxError;
use crate::event::DecodeError;
use crate::store::StoreError;

/// Why an inline projection did not take events, which were not stored therefore.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InlineError {
    /// Its code failed.
    #[error("it failed")]
    Failed(#[source] BoxError),
    /// Its code panicked.
    #[error("it panicked: {0}")]
    Panicked(String),
    /// Its code took too long.
    #[error("it took longer than {limit:?}")]
    TimedOut {
        /// How long it may take: [`Config::inline_limit`](crate::application::Config::inline_limit).
        limit: Duration,
    },
    /// An event does not fit its type.
    #[error("it cannot be given an event")]
    Undecodable(#[source] DecodeError),
    /// What it wrote cannot be committed: a constraint that is looked at last refused it, or a statement had failed whose
    /// error its code did not pass on.
    #[error("what it wrote cannot be committed")]
    NotCommitted(#[source] StoreError),
    /// The events would come in front of parked ones of their key.
    #[error("earlier events of key {key:?} are parked")]
    Parked {
        /// The key.
        key: String,
    },
    /// Its rows cannot be written to at the moment.
    #[error("its rows are not ready")]
    NotReady(#[from] RowsNotReady),
}

/// Why nothing can be written to the rows of an inline projection together with an append.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowsNotReady {
    /// There are none yet.
    #[error("there are none yet")]
    Missing,
    /// Readers see those of another version, which this program does not write to.
    #[error("readers see rows of version {active}, this program makes those of version {own}")]
    OtherVersion {
        /// The version of the rows.
        active: u32,
        /// The version of this program.
        own: u32,
    },
    /// They are made of another log.
    #[error("they are made of another log, {log}")]
    OtherLog {
        /// That log.
        log: String,
    },
    /// They lack more events than an append makes up for, or one of them that cannot be projected.
    #[error("they are made up to position {position}, and not behind it yet")]
    Behind {
        /// Up to where they are made.
        position: u64,
    },
    /// They stand still until those that were built beside them take their place.
    #[error("they stand still until others take their place")]
    Held,
    /// Somebody else is writing to them.
    #[error("somebody else is writing to them")]
    Busy,
}

impl InlineError {
    /// Whether the same events may be taken later, without anybody doing anything about it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::NotReady(reason) if reason.will_pass())
    }
}

impl RowsNotReady {
    /// Whether it is worth waiting for.
    #[must_use]
    pub fn will_pass(&self) -> bool {
        !matches!(self, Self::OtherVersion { .. } | Self::OtherLog { .. })
    }
}
