use std::collections::HashSet;

use crate::id::{CausationId, CorrelationId};
use crate::lineage::LineageTree;
use crate::store::{EventStore, LogPage, RecordedEvent, StoreError};

/// Questions about what led to what, asked of a store. An application gives one:
/// [`Running::lineage`](crate::application::Running::lineage).
///
/// A message is named by its id, that of a command or of an event. Effects are looked for among the events that have the
/// correlation of their cause, which is what a command that a handler sends inherits; one that was dispatched with
/// another correlation begins a lineage of its own.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Lineage<'a> {
    store: &'a dyn EventStore,
    limit: usize,
}

/// How many events an answer holds at most, unless said otherwise.
const LIMIT: usize = 10_000;

/// How many events are read at once.
const PAGE: usize = 500;

impl<'a> Lineage<'a> {
    /// Asks this store.
    pub fn new(store: &'a dyn EventStore) -> Self {
        Self { store, limit: LIMIT }
    }

    /// How many events an answer holds at most; 10,000 unless set. A tree tells whether it was cut.
    pub fn limit(mut self, events: usize) -> Self {
        self.limit = events;
        self
    }

    /// The events behind position `after` that share a correlation, at most [`Lineage::limit`] of them, in the order of
    /// the log. The page says how far it reaches; one that reaches no further than `after` is the end of the log for now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn correlated(&self, id: CorrelationId, after: u64) -> Result<LogPage, StoreError> {
        self.store.read_correlated(id, after, self.limit).await
    }

    /// The events that a message led to directly: those of the command, or those of the commands that the event made
    /// handlers send. None when the message is unknown.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn effects_of(&self, id: impl Into<CausationId>) -> Result<Vec<RecordedEvent>, StoreError> {
        let id = id.into();
        let mut effects = Vec::new();
        self.from(id, |event| {
            let is_effect = event.causation_id == id || event.metadata.command_causation_id() == Some(id);
            if is_effect && effects.len() < self.limit {
                effects.push(event);
            }
            effects.len() < self.limit
        })
        .await?;
        Ok(effects)
    }

    /// All that a message led to: the events of the command, or the event itself, and what handlers made of them, hop by
    /// hop. Empty when the message is unknown.
    ///
    /// # Errors
    /// When the store cannot be read.
    ///
    /// ```no_run
    /// # use cqrs_core::id::EventId;
    /// # use cqrs_core::lineage::Lineage;
    /// # use cqrs_core::store::{EventStore, StoreError};
    /// # async fn example(store: &dyn EventStore, event_id: EventId) -> Result<(), StoreError> {
    /// let tree = Lineage::new(store).limit(200).tree(event_id).await?;
    /// let first = tree.nodes().first();
    /// assert!(first.is_none_or(|root| root.event.event_id == event_id));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn tree(&self, id: impl Into<CausationId>) -> Result<LineageTree, StoreError> {
        let id = id.into();
        let mut tree = LineageTree::new(id);
        self.from(id, |event| tree.take(event, self.limit)).await?;
        Ok(tree)
    }

    /// The way back: the event that made a handler send the command of this message, the event before that, and so on to
    /// the first. What a person or another system sent has no event before it, nor has a message that is unknown.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn causes_of(&self, id: impl Into<CausationId>) -> Result<Vec<RecordedEvent>, StoreError> {
        let mut causes: Vec<RecordedEvent> = Vec::new();
        let mut message = self.store.find_message(id.into()).await?;
        let mut seen: HashSet<CausationId> = message.iter().map(|event| event.event_id.into()).collect();
        while let Some(id) = message.as_ref().and_then(|event| event.metadata.command_causation_id()) {
            // Ids that callers chose may lead in a circle.
            if causes.len() >= self.limit || !seen.insert(id) {
                break;
            }
            // The cause may be a command as well, when somebody says so: then it is known by its first event.
            message = self.store.find_message(id).await?;
            causes.extend(message.clone());
        }
        Ok(causes)
    }

    /// Visits the events that share the correlation of a message, from where it is first heard of, until `visit` has
    /// enough.
    async fn from(
        &self,
        id: CausationId,
        mut visit: impl FnMut(RecordedEvent) -> bool,
    ) -> Result<(), StoreError> {
        let Some(first) = self.store.find_message(id).await? else { return Ok(()) };
        let correlation_id = first.correlation_id;
        let mut after = first.position - 1;
        loop {
            let page = self.store.read_correlated(correlation_id, after, PAGE).await?;
            for event in page.events {
                if !visit(event) {
                    return Ok(());
                }
            }
            if page.read_to <= after {
                return Ok(());
            }
            after = page.read_to;
        }
    }
}
