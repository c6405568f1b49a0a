use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::event::Metadata;
use crate::id::{CausationId, CorrelationId, EventId};
use crate::store::StreamId;

/// An event as the store holds it: immutable, and cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// The event's own id.
    pub event_id: EventId,
    /// The place in the log: 1, 2, 3, ... without a hole.
    pub position: u64,
    /// The stream that the event was written to; links keep the stream of origin.
    pub stream_id: StreamId,
    /// The place in that stream: 1, 2, 3, ...
    pub stream_version: u64,
    /// The wire name of the event's type.
    pub event_type: Cow<'static, str>,
    /// The version of the type's schema that `data` was written with.
    pub schema_version: u32,
    /// The payload, JSON. A store may keep its value rather than its text: spaces, the order of keys and the
    /// notation of numbers can differ from what was written.
    pub data: Bytes,
    /// What the caller and the middleware attached.
    pub metadata: Metadata,
    /// The message that caused the event: the command.
    pub causation_id: CausationId,
    /// What the event belongs together with.
    pub correlation_id: CorrelationId,
    /// When the store recorded it.
    pub created_at: DateTime<Utc>,
}

/// A stretch of the log, as it was read at once.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LogPage {
    /// The events that pass the filter, oldest first.
    pub events: Vec<RecordedEvent>,
    /// How far the stretch reaches: no event that passes lies between the last one given and here.
    pub read_to: u64,
}

impl LogPage {
    /// A stretch that ends at position `read_to`.
    #[must_use]
    pub fn new(events: Vec<RecordedEvent>, read_to: u64) -> Self {
        Self { events, read_to }
    }
}

/// What a store knows of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The stream.
    pub stream_id: StreamId,
    /// The version of its latest event or link.
    pub version: u64,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Whether it can be read and appended to.
    pub status: StreamStatus,
}

/// Whether a stream can be read and appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamStatus {
    /// It can.
    Active,
    /// It was deleted softly: its events stay in the log, the stream itself is closed.
    Deleted,
}

impl StreamInfo {
    /// Describes an active stream.
    #[must_use]
    pub fn active(stream_id: StreamId, version: u64, created_at: DateTime<Utc>) -> Self {
        Self { stream_id, version, created_at, status: StreamStatus::Active }
    }

    /// The same stream, softly deleted.
    #[must_use]
    pub fn deleted(mut self) -> Self {
        self.status = StreamStatus::Deleted;
        self
    }
}
