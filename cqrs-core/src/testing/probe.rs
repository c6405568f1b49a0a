use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::application::{Application, Core};
use crate::event::EventSet;
use crate::store::{RecordedEvent, StoreError, StreamId};
use crate::testing::ReceivedEvent;
use crate::testing::search::Scope;
use crate::testing::settle::LIMIT;

/// Looks at the events of a running application from a position on: what came before is ignored.
///
/// Closures get the event, upcast to the present version of its type, and the event as it is stored; those
/// that do not care about one of them write `|_, _| true`. Every wait ends after 5 s unless
/// [`EventProbe::within`] says otherwise, and every failure is a panic that names the types and shows what
/// the log holds instead. An event type that the application does not know fails at once.
///
/// ```no_run
/// # use cqrs_core::{application::Application, event::{Event, EventSchema}, store::StoreError};
/// # #[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)] struct Opened;
/// # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
/// # cqrs_core::event::event_set_of_one!(Opened);
/// # async fn example(bank: impl Application) -> Result<(), StoreError> {
/// use cqrs_core::testing::EventProbe;
///
/// let probe = EventProbe::new(&bank).await?;
/// // Something that must not open an account:
/// # let act = async {};
/// act.await;
/// probe.refute::<Opened>(|_, _| true).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a probe does nothing until it is asked"]
pub struct EventProbe {
    pub(crate) core: Arc<Core>,
    pub(crate) scope: Scope,
    pub(crate) limit: Duration,
    pub(crate) without: Vec<String>,
}

impl EventProbe {
    /// A probe that begins behind the last event of the moment.
    ///
    /// # Errors
    /// When the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn new(application: &impl Application) -> Result<Self, StoreError> {
        let mut probe = Self::from_origin(application);
        probe.scope.after = probe.core.store.head().await?;
        Ok(probe)
    }

    /// A probe that begins at the first event of the log.
    pub fn from_origin(application: &impl Application) -> Self {
        Self {
            core: Arc::clone(application.core()),
            scope: Scope::default(),
            limit: LIMIT,
            without: Vec::new(),
        }
    }

    /// Looks at the events of this stream only.
    pub fn in_stream(mut self, stream_id: StreamId) -> Self {
        self.scope.stream = Some(stream_id);
        self
    }

    /// How long each wait may take; 5 s unless set.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Does not wait for the handler of this name: it may be behind, or have failed on purpose.
    pub fn without(mut self, handler: impl Into<String>) -> Self {
        self.without.push(handler.into());
        self
    }

    /// Waits for the first event of `E` that `matches`; one that is there already counts.
    ///
    /// Unlike the assertions it does not wait for the application to settle, so that it also serves while
    /// work goes on.
    ///
    /// # Panics
    /// When the limit passes without it, `E` is not registered, or the log cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    pub fn wait_for<E: EventSet>(
        &self,
        matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) -> impl Future<Output = ReceivedEvent<E>> {
        self.wait_at(Location::caller(), matches)
    }

    /// Waits until the application has settled, and gives the first event of `E` that `matches`.
    ///
    /// # Panics
    /// When there is none, the application does not settle, `E` is not registered, or the log cannot be
    /// read.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    pub fn assert_received<E: EventSet>(
        &self,
        matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) -> impl Future<Output = ReceivedEvent<E>> {
        self.assert_at(Location::caller(), matches)
    }

    /// Waits until the application has settled, and sees to it that no event of `E` that `matches` came.
    ///
    /// # Panics
    /// When one came, the application does not settle, `E` is not registered, or the log cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    pub fn refute<E: EventSet>(
        &self,
        matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) -> impl Future<Output = ()> {
        self.refute_at(Location::caller(), matches)
    }

    /// Waits until the application has settled, and gives an event of `First` and one of `Second` that match
    /// and have one correlation id, the earliest.
    ///
    /// # Panics
    /// When there are no such two, the application does not settle, a type is not registered, or the log
    /// cannot be read.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    #[track_caller]
    pub fn assert_correlated<First: EventSet, Second: EventSet>(
        &self,
        first: impl FnMut(&First, &RecordedEvent) -> bool,
        second: impl FnMut(&Second, &RecordedEvent) -> bool,
    ) -> impl Future<Output = (ReceivedEvent<First>, ReceivedEvent<Second>)> {
        self.correlate_at(Location::caller(), first, second)
    }
}

impl fmt::Debug for EventProbe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventProbe")
            .field("application", &self.core.name())
            .field("scope", &self.scope)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
