use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::ambient::{Ambient, HandlerKey};
use crate::event::EventRegistry;
use crate::handler::HandlerError;
use crate::handler::attempt::wanted;
use crate::handler::partition::key_of;
use crate::projection::control::Shared;
use crate::projection::hand::hand;
use crate::projection::{
    InlineError, InlineProjection, Projected, Projection, ProjectionContext, ProjectionPlace, RowStore,
};
use crate::store::{EventFilter, RecordedEvent, StoreError};

/// An inline projection before the application is put together.
pub(crate) trait InlineSource: Send + Sync {
    /// The rows, as a store of events knows them; `None` when they can be written in no append's transaction.
    fn rows(&self) -> Option<Arc<dyn Any + Send + Sync>>;

    /// The projection as the store is given it.
    fn inline(
        self: Arc<Self>,
        rows: Arc<dyn Any + Send + Sync>,
        application: Arc<str>,
        key: HandlerKey,
        registry: Arc<EventRegistry>,
        limit: Duration,
    ) -> InlineProjection;
}

/// What a projection does with events, when its type is no longer known.
pub(crate) trait Work: Send + Sync {
    /// Writes the rows of events, all of which are wanted.
    fn project<'a>(
        &'a self,
        events: &'a [&'a RecordedEvent],
        connection: &'a mut (dyn Any + Send),
    ) -> BoxFuture<'a, Result<(), InlineError>>;

    /// What keeps the order of an event.
    fn key_of(&self, event: &RecordedEvent) -> String;
}

struct Working<P> {
    shared: Arc<Shared<P>>,
    place: Arc<ProjectionPlace>,
    key: HandlerKey,
    registry: Arc<EventRegistry>,
}

impl<P: Projection> InlineSource for Shared<P> {
    fn rows(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        self.projection.rows().inline()
    }

    fn inline(
        self: Arc<Self>,
        rows: Arc<dyn Any + Send + Sync>,
        application: Arc<str>,
        key: HandlerKey,
        registry: Arc<EventRegistry>,
        limit: Duration,
    ) -> InlineProjection {
        let name = Arc::clone(&self.name);
        let place = ProjectionPlace {
            application,
            projection: Arc::clone(&name),
            version: P::VERSION,
            is_rebuild: false,
        };
        let filter = P::SUBSCRIBE_TO.filter(EventFilter::types(registry.stored_names_of::<P::Event>()));
        let work = Box::new(Working { shared: self, place: Arc::new(place), key, registry });
        InlineProjection { name, version: P::VERSION, filter, limit, rows, work }
    }
}

impl<P: Projection> Work for Working<P> {
    fn project<'a>(
        &'a self,
        events: &'a [&'a RecordedEvent],
        connection: &'a mut (dyn Any + Send),
    ) -> BoxFuture<'a, Result<(), InlineError>> {
        Box::pin(async move {
            let Some(connection) = connection.downcast_mut::<<P::Rows as RowStore>::Connection>() else {
                let fault = "the store wrote to rows of another kind";
                return Err(InlineError::NotCommitted(StoreError::Failed(fault.into())));
            };
            let mut batch = Vec::with_capacity(events.len());
            for event in events {
                let typed = wanted::<P::Event, P::Error>(&self.registry, event).map_err(not_taken)?;
                let projected = |typed| Projected::new(typed, self.context(event));
                batch.extend(typed.into_iter().map(projected));
            }
            let (Some(first), false) = (events.first(), batch.is_empty()) else { return Ok(()) };
            let ambient = Ambient::of_event(first).in_handler(self.key.clone());
            // Whoever asks for it limits all of an append together.
            let limit = Duration::MAX;
            hand(&self.shared.projection, &batch, connection, ambient, limit).await.map_err(not_taken)
        })
    }

    fn key_of(&self, event: &RecordedEvent) -> String {
        let by = |typed: &P::Event| self.shared.projection.partition_by(typed, &self.context(event));
        key_of::<P::Event>(&self.registry, event, by)
    }
}

impl<P: Projection> Working<P> {
    fn context(&self, event: &RecordedEvent) -> ProjectionContext {
        ProjectionContext::new(event.clone(), Arc::clone(&self.place), 1)
    }
}

/// Why the projection did not take events, or was not even given them.
fn not_taken<E: std::error::Error + Send + Sync + 'static>(error: HandlerError<E>) -> InlineError {
    match error {
        HandlerError::Undecodable(error) => InlineError::Undecodable(error),
        HandlerError::Panicked(panic) => InlineError::Panicked(panic),
        HandlerError::TimedOut(limit) => InlineError::TimedOut { limit },
        HandlerError::Failed(error) => InlineError::Failed(error.into()),
        HandlerError::NotCommitted(error) => InlineError::NotCommitted(error),
    }
}
