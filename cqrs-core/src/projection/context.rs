use std::sync::Arc;

use crate::event::about_event;
use crate::handler::Envelope;
use crate::store::RecordedEvent;

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
}

about_event!(ProjectionContext);

/// An event of a batch that a projection makes rows of, and what is known about it.
pub type Projected<E> = Envelope<E, ProjectionContext>;
