//! What a command inherits from where it is sent: a command dispatched by a handler belongs together with
//! the event that the handler handles.

use std::sync::Arc;

use crate::event::Metadata;
use crate::id::{CausationId, CorrelationId};
use crate::store::RecordedEvent;

/// What the current task is working on.
#[derive(Clone, Debug)]
pub struct Ambient {
    /// The message being handled.
    pub causation_id: CausationId,
    /// What that message belongs together with.
    pub correlation_id: CorrelationId,
    /// The handler that handles it; a strong dispatch from inside does not wait for it.
    pub(crate) handler: Option<HandlerKey>,
    /// What that message carries.
    pub(crate) metadata: Metadata,
}

/// A handler of one application instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HandlerKey {
    pub(crate) instance: u64,
    pub(crate) name: Arc<str>,
}

tokio::task_local! {
    static AMBIENT: Option<Ambient>;
}

impl Ambient {
    /// What commands inherit that are sent because of `event`.
    #[must_use]
    pub fn of_event(event: &RecordedEvent) -> Self {
        Self::new(event.event_id.into(), event.correlation_id, event.metadata.clone())
    }

    pub(crate) fn new(causation_id: CausationId, correlation_id: CorrelationId, metadata: Metadata) -> Self {
        Self { causation_id, correlation_id, handler: None, metadata }
    }

    pub(crate) fn in_handler(mut self, key: HandlerKey) -> Self {
        self.handler = Some(key);
        self
    }

    /// What the current task is working on, if anything.
    #[must_use]
    pub fn current() -> Option<Self> {
        AMBIENT.try_with(Clone::clone).ok().flatten()
    }

    /// Runs `future` so that commands dispatched in it inherit from this. A task that `future` spawns does
    /// not inherit by itself: give it [`Ambient::current`] and enter that there.
    ///
    /// # Cancel safety
    /// As cancel safe as `future`.
    pub async fn enter<F: Future>(self, future: F) -> F::Output {
        AMBIENT.scope(Some(self), future).await
    }

    /// Runs `work` as if the current task worked on nothing.
    pub(crate) fn outside<T>(work: impl FnOnce() -> T) -> T {
        AMBIENT.sync_scope(None, work)
    }
}
