use async_trait::async_trait;
use cqrs_core::id::CommandId;
use cqrs_core::store::{
    Append, AppendError, Appended, BindError, Deletion, Direction, EventFilter, EventStore, ExpectedVersion,
    InlineAppend, Link, LogPage, RecordedEvent, StoreError, StoreIdentity, StoredState, StreamId, StreamInfo,
};
use tokio::sync::watch;

use crate::MemoryStore;

/// How many places of the log are looked at before the lock is given to others: a filter that hardly
/// anything passes must not keep writers waiting for a walk through the whole log.
const PLACES_PER_LOCK: usize = 4_096;

#[async_trait]
impl EventStore for MemoryStore {
    fn identity(&self) -> StoreIdentity {
        self.identity().clone()
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        self.lock().bind(application)
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.append_in_turn(|contents| contents.append(append, self.clock())).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        self.append_in_turn(|contents| contents.append_all(appends, self.clock().now())).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        Ok(self.lock().outcome(id))
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.lock().read_stream(stream_id, from, direction, limit)
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        let mut page = LogPage::new(Vec::new(), after);
        // Events that were seen are immutable and later ones only come behind them, so that a page put
        // together under several locks is still one read of the log.
        while page.events.len() < limit {
            if self.lock().scan_log(PLACES_PER_LOCK, filter, limit, &mut page).is_break() {
                break;
            }
        }
        Ok(page)
    }

    async fn head(&self) -> Result<u64, StoreError> {
        Ok(self.head())
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.subscribe()
    }

    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError> {
        let contents = self.lock();
        Ok(contents.streams.get(stream_id).map(|stream| stream.info(stream_id)))
    }

    async fn link(&self, link: Link) -> Result<u64, AppendError> {
        self.lock().link(link, self.clock())
    }

    async fn delete_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        if deletion == Deletion::Hard && !self.allows_hard_deletion() {
            return Err(AppendError::DeletionNotAllowed { stream_id: stream_id.clone(), deletion });
        }
        self.lock().delete_stream(stream_id, expected, deletion)
    }

    async fn stored_state(&self, stream_id: &StreamId) -> Result<Option<StoredState>, StoreError> {
        Ok(self.lock().states.get(stream_id).cloned())
    }

    fn inline(&self) -> Option<&dyn InlineAppend> {
        Some(self)
    }
}
