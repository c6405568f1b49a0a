use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::error_text::error_text;
use crate::handler::parked::PARKED;
use crate::projection::inline::work::Work;
use crate::projection::{Generation, InlineError, RowsNotReady};
use crate::store::{Append, EventFilter, HandlerRecord, RecordedEvent, StoreIdentity, StreamWrite};

/// A projection whose rows are written in the transaction in which events are appended, as a store is given it.
pub struct InlineProjection {
    pub(crate) name: Arc<str>,
    pub(crate) version: u32,
    pub(crate) filter: EventFilter,
    pub(crate) limit: Duration,
    /// As the store knows them.
    pub(crate) rows: Arc<dyn Any + Send + Sync>,
    pub(crate) work: Box<dyn Work>,
}

impl InlineProjection {
    /// How many events that are missing in the rows an append makes up for, at most.
    pub const MOST_MISSED: usize = 500;

    /// The projection's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The events that its rows are made of.
    #[must_use]
    pub fn filter(&self) -> &EventFilter {
        &self.filter
    }

    /// What [`RowStore::inline`](crate::projection::RowStore::inline) gave.
    #[must_use]
    pub fn rows(&self) -> &(dyn Any + Send + Sync) {
        &*self.rows
    }

    /// How long [`InlineProjection::project`] takes at most, as long as the projection's code does not block its thread.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Whether an append holds an event that the rows are made of.
    #[must_use]
    pub fn wants(&self, append: &Append) -> bool {
        append.writes.iter().any(|write| match write {
            StreamWrite::Events { stream_id, events, .. } => {
                self.filter.includes(stream_id)
                    && events.iter().any(|event| self.filter.accepts(&event.event_type))
            }
            StreamWrite::State { .. } => false,
        })
    }

    /// Whether this program may write to the rows that readers see, which are those of the generation `active`.
    ///
    /// # Errors
    /// When there are none, they are of another version or another log, or stand still.
    pub fn check(&self, active: Option<&Generation>, log: &StoreIdentity) -> Result<(), RowsNotReady> {
        let Some(active) = active else { return Err(RowsNotReady::Missing) };
        if active.version != self.version {
            return Err(RowsNotReady::OtherVersion { active: active.version, own: self.version });
        }
        // Rows of which nothing is made yet belong to no log.
        if active.log != log.to_string() {
            return Err(RowsNotReady::OtherLog { log: active.log.clone() });
        }
        match active.is_held {
            true => Err(RowsNotReady::Held),
            false => Ok(()),
        }
    }

    /// Writes the rows of events: those that are `missed` in the rows, which are made up to `position`, and then those that
    /// are appended. Events that the projection does not want may be among both. `records` are kept beside the rows, and
    /// `connection` is that of the projection's [`RowStore`](crate::projection::RowStore).
    ///
    /// # Errors
    /// When anything is to be refused: what was written must then be undone. After [`InlineError::TimedOut`] nobody knows
    /// what state the connection is in.
    pub async fn project(
        &self,
        position: u64,
        missed: &[RecordedEvent],
        appended: &[RecordedEvent],
        records: &[HandlerRecord],
        connection: &mut (dyn Any + Send),
    ) -> Result<(), InlineError> {
        let parked: HashSet<&str> =
            records.iter().filter(|record| record.kind == PARKED).map(|record| &*record.key).collect();
        let work = async {
            let missed = self.wanted(missed);
            if !missed.is_empty() {
                if self.parked_among(&missed, &parked).is_some() {
                    return Err(RowsNotReady::Behind { position }.into());
                }
                if let Err(error) = self.work.project(&missed, connection).await {
                    // It is not the appends' fault, and whoever owns the rows knows what to do about it.
                    tracing::debug!(
                        cqrs.projection = &*self.name,
                        error = error_text(&error),
                        "events that are missing in the rows could not be made up for"
                    );
                    return Err(RowsNotReady::Behind { position }.into());
                }
            }
            let appended = self.wanted(appended);
            if let Some(key) = self.parked_among(&appended, &parked) {
                return Err(InlineError::Parked { key });
            }
            self.work.project(&appended, connection).await
        };
        timeout(self.limit, work).await.unwrap_or(Err(InlineError::TimedOut { limit: self.limit }))
    }

    fn wanted<'a>(&self, events: &'a [RecordedEvent]) -> Vec<&'a RecordedEvent> {
        events.iter().filter(|event| self.filter.passes(event)).collect()
    }

    fn parked_among(&self, events: &[&RecordedEvent], parked: &HashSet<&str>) -> Option<String> {
        if parked.is_empty() {
            return None;
        }
        events.iter().map(|event| self.work.key_of(event)).find(|key| parked.contains(&**key))
    }
}

impl fmt::Debug for InlineProjection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("InlineProjection")
            .field("name", &self.name)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
