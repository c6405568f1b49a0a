use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::error_text::error_text;
use crate::event::{DecodeError, Decoded, EventSet, Metadata, decode};
use crate::id::{CommandId, CorrelationId, EventId};
use crate::projection::{
    GenerationState, Projected, Projection, ProjectionContext, ProjectionPlace, RowPlace, RowStore,
    RowTransaction,
};
use crate::store::{EventFilter, HandlerCommit, RecordedEvent, StreamId};
use crate::testing::clock::standstill;
use crate::testing::scene::{APPLICATION, registry_of};

/// Events of a scenario for a projection, an event handler or a process manager, in the order of the log.
///
/// See [`given_log`].
#[derive(Clone)]
#[must_use = "a scenario goes on with `.project(..)`, `.handle(..)` or `.process(..)`"]
pub struct GivenLog {
    pub(crate) events: Vec<RecordedEvent>,
    versions: HashMap<StreamId, u64>,
    pub(crate) now: DateTime<Utc>,
    pub(crate) metadata: Metadata,
    pub(crate) attempt: u32,
}

/// Begins a scenario of what reacts to events. There is neither log nor application.
///
/// | given events, | with |
/// |---|---|
/// | a projection has rows | [`GivenLog::project`] |
/// | an event handler handles them, or fails | [`GivenLog::handle`] |
/// | a process manager has come to some point, from which the scenario goes on | [`GivenLog::process`] |
///
/// The events go the way of stored ones: they are encoded, and decoded as what is of interest. The rows of a projection
/// are created, written and committed where they lie, in memory or in a database.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use cqrs_core::{event::*, projection::*};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)] struct Moved { amount: i64 }
/// # impl Event for Moved { const SCHEMA: &'static EventSchema = &EventSchema::new("Moved", 1); }
/// # cqrs_core::event::event_set_of_one!(Moved);
/// # async fn example<Balances>(balances: Balances, row: impl Fn(&str) -> Option<i64>)
/// # where Balances: Projection<Event = Moved, Error = std::io::Error> {
/// use cqrs_core::testing::given_log;
///
/// given_log()
///     .events("account-1", [Moved { amount: 100 }, Moved { amount: -30 }])
///     .events("account-2", [Moved { amount: 5 }])
///     .project(&balances)
///     .await;
/// assert_eq!((row("1"), row("2")), (Some(70), Some(5)));
/// # }
/// ```
pub fn given_log() -> GivenLog {
    GivenLog {
        events: Vec::new(),
        versions: HashMap::new(),
        now: standstill(),
        metadata: Metadata::new(),
        attempt: 1,
    }
}

impl GivenLog {
    /// Adds events of a stream, behind those that were added before.
    ///
    /// # Panics
    /// When the stream has an invalid name, or an event cannot be encoded.
    #[track_caller]
    pub fn events<E: EventSet>(mut self, stream: &str, events: impl IntoIterator<Item = E>) -> Self {
        let stream_id = match StreamId::new(stream) {
            Ok(stream_id) => stream_id,
            Err(error) => panic!("{stream:?} is no stream: {error}"),
        };
        for event in events {
            let schema = event.schema();
            let data = match event.encode() {
                Ok(data) => data,
                Err(error) => panic!("{} cannot be encoded: {error}", schema.name),
            };
            let version = self.versions.entry(stream_id.clone()).or_default();
            *version += 1;
            self.events.push(RecordedEvent {
                event_id: EventId::new(),
                position: self.events.len() as u64 + 1,
                stream_id: stream_id.clone(),
                stream_version: *version,
                event_type: schema.name.into(),
                schema_version: schema.version,
                data,
                metadata: self.metadata.clone(),
                causation_id: CommandId::new().into(),
                correlation_id: CorrelationId::new(),
                created_at: self.now,
            });
        }
        self
    }

    /// Sets when the events from here on were recorded; midnight of 1 January 2000, UTC, unless set.
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// Attaches a value to the events from here on.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Sets which attempt at the events it is; 1 unless set.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Has the projection make rows of the events, in one transaction, behind what it has projected before.
    ///
    /// # Panics
    /// When the projection fails, or its rows cannot be reached. A panic of user code is passed on.
    ///
    /// # Cancel safety
    /// The rows are made, or they are not.
    #[track_caller]
    pub fn project<P: Projection>(self, projection: &P) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            if let Err(error) = self.try_project(projection).await {
                panic!("{at}: projection {:?} failed: {}", P::NAME, error_text(&error));
            }
        }
    }

    /// Has the projection make rows of the events, which it must refuse; gives its error. No rows are made.
    ///
    /// # Panics
    /// When the projection does not fail, or its rows cannot be reached. A panic of user code is passed on.
    ///
    /// # Cancel safety
    /// As [`GivenLog::project`].
    #[track_caller]
    pub fn project_in_vain<P: Projection>(self, projection: &P) -> impl Future<Output = P::Error> {
        let at = Location::caller();
        async move {
            match self.try_project(projection).await {
                Ok(()) => panic!("{at}: projection {:?} was to fail, and did not", P::NAME),
                Err(error) => error,
            }
        }
    }

    async fn try_project<P: Projection>(self, projection: &P) -> Result<(), P::Error> {
        let (place, made) = begin(projection).await?;
        let last = self.events.len() as u64;
        let batch = self.typed::<P>(made);
        let mut transaction = expect(projection.rows().begin(&place).await);
        if !batch.is_empty()
            && let Err(error) = projection.handle_batch(&batch, transaction.connection()).await
        {
            expect(transaction.roll_back().await);
            return Err(error);
        }
        expect(transaction.commit(made, HandlerCommit::new().position(made + last)).await);
        Ok(())
    }

    /// The events that the projection is interested in, behind position `made`.
    fn typed<P: Projection>(self, made: u64) -> Vec<Projected<P::Event>> {
        let registry = registry_of::<P::Event>();
        let wanted = P::SUBSCRIBE_TO.filter(EventFilter::types(registry.stored_names_of::<P::Event>()));
        let place = Arc::new(ProjectionPlace {
            application: Arc::from(APPLICATION),
            projection: Arc::from(P::NAME),
            version: P::VERSION,
            is_rebuild: false,
        });
        let mut batch = Vec::new();
        for mut event in self.events {
            if !wanted.passes(&event) {
                continue;
            }
            event.position += made;
            let decoded = decode::<P::Event, DecodeError>(&registry, &event, |decoded| {
                if let Decoded::Event(typed) = decoded {
                    let context = ProjectionContext::new(event.clone(), Arc::clone(&place), self.attempt);
                    batch.push(Projected::new(typed, context));
                }
                Ok(())
            });
            if let Err(error) = decoded {
                panic!("{}", error_text(&error));
            }
        }
        batch
    }
}

/// Where the projection writes, and up to where its rows are made; they are created if there are none.
async fn begin<P: Projection>(projection: &P) -> Result<(RowPlace, u64), P::Error> {
    let rows = projection.rows();
    let generations = expect(rows.generations(P::NAME).await);
    let active = generations.iter().find(|generation| generation.state == GenerationState::Active);
    let place = |generation| RowPlace { projection: Arc::from(P::NAME), generation, epoch: 1 };
    if let Some(active) = active {
        let place = place(active.number);
        let position = expect(rows.claim(&place).await).position;
        return Ok((place, position));
    }
    let place = place(expect(rows.add(P::NAME, P::VERSION, APPLICATION).await));
    expect(rows.claim(&place).await);
    let mut transaction = expect(rows.make(&place).await);
    projection.create(transaction.connection()).await?;
    expect(transaction.commit(0, HandlerCommit::new().position(0)).await);
    expect(rows.activate(&place, 0, 0).await);
    expect(rows.claim(&place).await);
    Ok((place, 0))
}

/// What the rows give, which must not fail in a test.
fn expect<T, E: std::error::Error + 'static>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the rows failed: {}", error_text(&error)),
    }
}

impl fmt::Debug for GivenLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("GivenLog").field("events", &self.events.len()).finish_non_exhaustive()
    }
}
