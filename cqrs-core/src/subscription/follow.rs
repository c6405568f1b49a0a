use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::store::{EventFilter, EventStore, RecordedEvent, StoreError};
use crate::subscription::head::head_may_have_moved;

/// Reads a store's log from a position on, and then waits for what comes: no event is skipped or repeated
/// at the seam.
///
/// It keeps no checkpoint: where it has come to is known by whoever uses it.
#[derive(Debug)]
pub struct Follow {
    store: Arc<dyn EventStore>,
    filter: EventFilter,
    head: watch::Receiver<u64>,
    position: u64,
    /// Up to where the log was read; events that do not pass the filter are not read again.
    read_to: u64,
    page: VecDeque<RecordedEvent>,
}

/// How many events are read at once.
const PAGE: usize = 500;

/// How often the log is looked at when the store does not wake its readers.
const POLL: Duration = Duration::from_secs(1);

impl Follow {
    /// Follows the events behind position `after` that pass the filter: everything, one stream, a category, or what
    /// belongs together.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use cqrs_core::id::CorrelationId;
    /// use cqrs_core::store::{EventFilter, EventStore, StoreError};
    /// use cqrs_core::subscription::Follow;
    ///
    /// async fn print(store: Arc<dyn EventStore>, correlation_id: CorrelationId) -> Result<(), StoreError> {
    ///     let mut follow = Follow::new(store, 0, EventFilter::all().correlation(correlation_id));
    ///     loop {
    ///         let event = follow.next().await?;
    ///         println!("{} in {}", event.event_type, event.stream_id);
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn new(store: Arc<dyn EventStore>, after: u64, filter: EventFilter) -> Self {
        let head = store.watch_head();
        Self { store, filter, head, position: after, read_to: after, page: VecDeque::new() }
    }

    /// The next event; waits until there is one.
    ///
    /// # Errors
    /// When the store fails; calling again tries again.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<RecordedEvent, StoreError> {
        loop {
            if let Some(event) = self.try_next().await? {
                return Ok(event);
            }
            head_may_have_moved(&mut self.head, POLL).await;
        }
    }

    /// The next event; `None` when there is none at the moment.
    ///
    /// # Errors
    /// When the store fails; calling again tries again.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn try_next(&mut self) -> Result<Option<RecordedEvent>, StoreError> {
        if self.page.is_empty() {
            self.head.mark_unchanged();
            let page = self.store.read_log(self.read_to, &self.filter, PAGE).await?;
            self.read_to = page.read_to;
            self.page = page.events.into();
        }
        let event = self.page.pop_front();
        if let Some(event) = &event {
            self.position = event.position;
        }
        Ok(event)
    }

    /// The position of the event that was given last.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}
