use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::event::Metadata;
use crate::id::{CausationId, CorrelationId, EventId, MessageId};
use crate::publisher::IntegrationEvent;
use crate::store::{RecordedEvent, StreamId};

/// An event on its way to others.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// The message's own id. It follows from the publisher's name, the event, and the message's place among those of the
    /// event, so that it is the same whenever the message is published again.
    pub id: MessageId,
    /// The name of what the message tells.
    pub event_type: Cow<'static, str>,
    /// The version of its payload's shape.
    pub version: u32,
    /// JSON.
    pub payload: Bytes,
    /// What keeps the order among messages: the stream, unless the publisher says otherwise.
    pub partition_key: String,
    /// The event that it comes from.
    pub event_id: EventId,
    /// The stream of that event.
    pub stream_id: StreamId,
    /// The event's place in that stream: 1, 2, 3, ...
    pub stream_version: u64,
    /// The event's place in the log. Messages go out in this order; an upcast event may give several of one position.
    pub position: u64,
    /// When the store recorded the event.
    pub created_at: DateTime<Utc>,
    /// What caused the event: the command.
    pub causation_id: CausationId,
    /// What the event belongs together with.
    pub correlation_id: CorrelationId,
    /// What the caller and the middleware attached to the command, unless the publisher says otherwise.
    pub metadata: Metadata,
}

impl Message {
    /// The message that `publisher` makes of the typed value number `ordinal` of an event.
    pub(super) fn new(
        publisher: &str,
        event: &RecordedEvent,
        ordinal: usize,
        content: IntegrationEvent,
    ) -> Self {
        let IntegrationEvent { name, version, payload, partition_key, metadata } = content;
        Self {
            id: MessageId::of(publisher, event.event_id, ordinal),
            event_type: name,
            version,
            payload,
            partition_key: partition_key.unwrap_or_else(|| event.stream_id.as_str().to_owned()),
            event_id: event.event_id,
            stream_id: event.stream_id.clone(),
            stream_version: event.stream_version,
            position: event.position,
            created_at: event.created_at,
            causation_id: event.causation_id,
            correlation_id: event.correlation_id,
            metadata: metadata.unwrap_or_else(|| event.metadata.clone()),
        }
    }

    /// What it may have to wait for: others of its partition key, and, where it is not known what those would have been,
    /// others of its stream.
    pub(super) fn keys(&self) -> [&str; 2] {
        [&self.partition_key, self.stream_id.as_str()]
    }
}
