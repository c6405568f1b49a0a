use chrono::{DateTime, Utc};

use crate::store::RecordedEvent;

/// A moment in the life of an aggregate, for [`Running::aggregate_state_at`](crate::application::Running::aggregate_state_at).
///
/// The events of the stream are taken in their order, up to the first one that lies behind the moment: what comes out
/// is always a state that the stream led to once. Without an event up to there it is the initial state at version 0;
/// a moment behind the last event gives the latest state.
///
/// An event that was linked into the stream counts with the position and the time that it has itself. When it was
/// linked is not known.
///
/// What else had happened by then is read from the log, whose positions have no hole:
/// [`EventStore::read_log_up_to`](crate::store::EventStore::read_log_up_to).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum At {
    /// When the stream had so many events.
    Version(u64),
    /// When the log had come to this position. The events of one command have a position each: one between them
    /// gives a part of what the command did.
    Position(u64),
    /// When it was this time, by the clock that stamped the events ([`RecordedEvent::created_at`]); events of that
    /// very time count. Where the clock was set back between two events, the first one that is later ends it, even
    /// if earlier ones come behind.
    Time(DateTime<Utc>),
}

impl At {
    /// The end of the stream, wherever that is.
    pub(crate) const LATEST: Self = Self::Version(u64::MAX);

    /// The last version that may lie before the moment.
    pub(crate) fn last_version(self) -> u64 {
        match self {
            Self::Version(version) => version,
            Self::Position(_) | Self::Time(_) => u64::MAX,
        }
    }

    /// Whether an event of no later version than the last one lies behind the moment.
    pub(crate) fn is_before(self, event: &RecordedEvent) -> bool {
        match self {
            Self::Version(_) => false,
            Self::Position(position) => event.position > position,
            Self::Time(time) => event.created_at > time,
        }
    }
}
