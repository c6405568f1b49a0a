//! A store that counts which events of its log are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cqrs::id::CommandId;
use cqrs::postgres::PostgresStore;
use cqrs::store::{
    Append, AppendError, Appended, BindError, Deletion, Direction, EventFilter, EventStore, ExpectedVersion,
    Link, LogPage, RecordedEvent, StoreError, StoreIdentity, StoredState, StreamId, StreamInfo,
};
use tokio::sync::watch;

/// How many events were read, one as often as it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Reads(Arc<AtomicUsize>);

impl Reads {
    pub(super) fn events(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(super) struct Counted {
    store: PostgresStore,
    reads: Reads,
}

impl Counted {
    pub(super) fn new(store: PostgresStore, reads: Reads) -> Self {
        Self { store, reads }
    }
}

#[async_trait]
impl EventStore for Counted {
    fn identity(&self) -> StoreIdentity {
        self.store.identity()
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        self.store.bind(application).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.store.append(append).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        self.store.append_all(appends).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        self.store.outcome(id).await
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.read_stream(stream_id, from, direction, limit).await
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        let page = self.store.read_log(after, filter, limit).await?;
        self.reads.0.fetch_add(page.events.len(), Ordering::Relaxed);
        Ok(page)
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.store.head().await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.store.watch_head()
    }

    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError> {
        self.store.stream_info(stream_id).await
    }

    async fn link(&self, link: Link) -> Result<u64, AppendError> {
        self.store.link(link).await
    }

    async fn delete_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        self.store.delete_stream(stream_id, expected, deletion).await
    }

    async fn stored_state(&self, stream_id: &StreamId) -> Result<Option<StoredState>, StoreError> {
        self.store.stored_state(stream_id).await
    }
}

cqrs::testing::delegate_to_store!(Counted.store: SnapshotStore, CheckpointStore, LeaseStore);
