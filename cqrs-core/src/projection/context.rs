use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::event::Metadata;
use crate::handler::Envelope;
use crate::id::{CausationId, CorrelationId, EventId};
use crate::store::{RecordedEvent, StreamId};

/// What a projection is told about an event, besides the event.
///
/// There is no way from here to the application: what a projection does beside its rows would be done again with every
/// rebuild.
#[derive(Clone, Debug)]
pub struct ProjectionContext {
    event: RecordedEvent,
    place: Arc<ProjectionPlace>,
    attempt: u32,
}

/// Where events are projected to.
#[derive(Debug)]
pub(crate) struct ProjectionPlace {
    pub(crate) application: Arc<str>,
    pub(crate) projection: Arc<str>,
    pub(crate) version: u32,
    pub(crate) is_rebuild: bool,
}

impl ProjectionContext {
    pub(crate) fn new(event: RecordedEvent, place: Arc<ProjectionPlace>, attempt: u32) -> Self {
        Self { event, place, attempt }
    }

    /// The event's own id.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        self.event.event_id
    }

    /// The event's place in the log.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.event.position
    }

    /// The stream that the event was written to.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        &self.event.stream_id
    }

    /// The event's place in that stream.
    #[must_use]
    pub fn stream_version(&self) -> u64 {
        self.event.stream_version
    }

    /// The identity of the aggregate that emitted the event: the stream id without its prefix.
    #[must_use]
    pub fn aggregate_id(&self) -> &str {
        self.event.stream_id.identity()
    }

    /// The wire name under which the event is stored; upcasting may have led to another type.
    #[must_use]
    pub fn event_type(&self) -> &str {
        &self.event.event_type
    }

    /// The command that caused the event.
    #[must_use]
    pub fn causation_id(&self) -> CausationId {
        self.event.causation_id
    }

    /// What the event belongs together with.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        self.event.correlation_id
    }

    /// What the caller and the middleware attached to the command.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.event.metadata
    }

    /// When the store recorded the event. What depends on the time goes by this, so that a rebuild gives the same rows.
    #[must_use]
    pub fn created_at(&self) -> DateTime<Utc> {
        self.event.created_at
    }

    /// The name of the application instance.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.place.application
    }

    /// The name of the projection.
    #[must_use]
    pub fn projection(&self) -> &str {
        &self.place.projection
    }

    /// The version of the projection.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.place.version
    }

    /// Whether the rows are being built beside those that readers see.
    #[must_use]
    pub fn is_rebuild(&self) -> bool {
        self.place.is_rebuild
    }

    /// Which attempt at this event this is; the first is 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The event as it is stored.
    #[must_use]
    pub fn recorded(&self) -> &RecordedEvent {
        &self.event
    }
}

/// An event of a batch that a projection makes rows of, and what is known about it.
pub type Projected<E> = Envelope<E, ProjectionContext>;
