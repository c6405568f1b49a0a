use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::store::{EventFilter, EventStore, LogPage, StoreError};

/// The log as a handler reads it that is behind the tail. The partitions of a handler go through it at about the same
/// pace: what one of them has read is kept for the others for a while.
#[derive(Debug)]
pub(crate) struct Pages {
    store: Arc<dyn EventStore>,
    filter: EventFilter,
    /// How many events a page holds.
    size: usize,
    /// `None` where a handler is read for once.
    recent: Option<Mutex<VecDeque<Arc<Page>>>>,
}

/// A stretch of the log behind a position.
#[derive(Debug)]
pub(crate) struct Page {
    after: u64,
    pub(crate) log: LogPage,
    /// There may be more behind it.
    pub(crate) is_full: bool,
}

impl Page {
    /// Whether it holds what is next behind a position.
    pub(crate) fn has_next(&self, position: u64) -> bool {
        self.after <= position && position < self.log.read_to
    }
}

/// How many pages are kept.
const RECENT: usize = 8;

impl Pages {
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        filter: EventFilter,
        size: usize,
        partitions: usize,
    ) -> Self {
        let recent = (partitions > 1).then(Mutex::default);
        Self { store, filter, size, recent }
    }

    /// A page that holds what is next behind a position; it may begin before.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn behind(&self, position: u64) -> Result<Arc<Page>, StoreError> {
        let Some(recent) = &self.recent else { return self.read(position).await };
        // Held while the page is read, so that the others wait for it instead of reading it as well.
        let mut recent = recent.lock().await;
        if let Some(page) = recent.iter().find(|page| page.has_next(position)) {
            return Ok(Arc::clone(page));
        }
        let page = self.read(position).await?;
        recent.push_back(Arc::clone(&page));
        if recent.len() > RECENT {
            recent.pop_front();
        }
        Ok(page)
    }

    async fn read(&self, after: u64) -> Result<Arc<Page>, StoreError> {
        let log = self.store.read_log(after, &self.filter, self.size).await?;
        let is_full = log.events.len() >= self.size;
        Ok(Arc::new(Page { after, log, is_full }))
    }
}
