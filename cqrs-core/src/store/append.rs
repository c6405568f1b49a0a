use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId, EventId};
use crate::store::StreamId;

/// What a stream must look like for a write to it to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExpectedVersion {
    /// Anything.
    Any,
    /// It does not exist.
    NoStream,
    /// It exists.
    StreamExists,
    /// Its latest version is this one; `Exact(0)` is [`ExpectedVersion::NoStream`].
    Exact(u64),
}

impl ExpectedVersion {
    /// Whether a stream at `version` (0: it does not exist) is as expected.
    #[must_use]
    pub fn allows(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == 0,
            Self::StreamExists => version > 0,
            Self::Exact(expected) => version == expected,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => formatter.write_str("any version"),
            Self::NoStream => formatter.write_str("no stream"),
            Self::StreamExists => formatter.write_str("an existing stream"),
            Self::Exact(version) => write!(formatter, "version {version}"),
        }
    }
}

/// An event that is to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct EventData {
    /// The event's own id, unique in the store.
    pub event_id: EventId,
    /// The wire name of its type.
    pub event_type: Cow<'static, str>,
    /// The version of the type's schema.
    pub schema_version: u32,
    /// The payload, JSON.
    pub data: Bytes,
    /// What the caller and the middleware attached.
    pub metadata: Metadata,
    /// The message that caused it.
    pub causation_id: CausationId,
    /// What it belongs together with.
    pub correlation_id: CorrelationId,
}

/// One write to one stream, all or nothing with the other writes of its [`Append`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum StreamWrite {
    /// Adds events to a stream.
    Events {
        /// The stream.
        stream_id: StreamId,
        /// What it must look like.
        expected: ExpectedVersion,
        /// The events; none is allowed, and writes nothing.
        events: Vec<EventData>,
    },
    /// Replaces the state of a state-stored aggregate, which keeps no events. The state lies beside the log:
    /// the stream neither begins nor grows by it.
    State {
        /// The stream that the aggregate would have.
        stream_id: StreamId,
        /// The version that its stored state must have; 0 when there is none.
        expected: u64,
        /// The version after, greater than `expected`: otherwise two writers could pass at one version, and
        /// the store refuses the append as [`StoreError::Failed`](crate::store::StoreError::Failed).
        version: u64,
        /// The schema version of the state's type.
        schema_version: u32,
        /// The state, JSON.
        data: Bytes,
    },
}

impl StreamWrite {
    /// The stream that is written to.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        match self {
            Self::Events { stream_id, .. } | Self::State { stream_id, .. } => stream_id,
        }
    }
}

/// A unit of writing: all of it happens, once, or none of it.
///
/// The id makes it repeatable: a store that has seen it returns the first [`Appended`] and writes nothing.
/// An append without any event is remembered as well.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// Unique: the id of the command.
    pub id: CommandId,
    /// The writes; every stream at most once.
    pub writes: Vec<StreamWrite>,
}

impl Append {
    /// An append of `events` to one stream.
    #[must_use]
    pub fn to_stream(
        id: CommandId,
        stream_id: StreamId,
        expected: ExpectedVersion,
        events: Vec<EventData>,
    ) -> Self {
        Self { id, writes: vec![StreamWrite::Events { stream_id, expected, events }] }
    }
}

/// What became of an [`Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// One entry a write, in their order.
    pub streams: Vec<WrittenStream>,
    /// The position of the last event written; 0 when the append held no event.
    pub position: u64,
    /// Whether the append had been made before, and this is its first outcome.
    pub repeated: bool,
}

/// What became of one write of an [`Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenStream {
    /// The stream.
    pub stream_id: StreamId,
    /// Its version after the write; for a state, the version of the state.
    pub version: u64,
    /// How many events were written; they have the versions up to `version`.
    pub events: u64,
}

/// Puts events that are in the log already into a further stream, where they keep their identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The stream that receives them.
    pub stream_id: StreamId,
    /// What it must look like.
    pub expected: ExpectedVersion,
    /// Their positions in the log.
    pub positions: Vec<u64>,
}

/// How a stream is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deletion {
    /// The stream is closed for ever; its events stay in the log.
    Soft,
    /// Its events go from the log and from the streams that link to them; positions are never used again,
    /// and the stream may be begun anew at version 1. An aggregate of that stream must not be in memory
    /// anywhere: it would take the events of the new stream for its own. Events of other streams that it linked to stay. A store
    /// that keeps snapshots too forgets the stream's: it would be taken for one of the new stream. Stores
    /// refuse hard deletion unless configured to allow it.
    Hard,
}
