//! A store that dies at a certain step, as a process does: from then on nothing is answered any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs::MemoryStore;
use cqrs::id::{CommandId, NodeId};
use cqrs::store::{
    Append, AppendError, Appended, BindError, CheckpointError, CheckpointStore, Deletion, Direction,
    EventFilter, EventStore, ExpectedVersion, HandlerCommit, HandlerRecord, HeldLease, LeaseStore, Link,
    LogPage, RecordedEvent, StoreError, StoreIdentity, StoredState, StreamId, StreamInfo,
};
use tokio::sync::watch;

/// A way to a store, which ends at a step. Each call has two: before it is made, and before it is answered.
#[derive(Clone, Debug)]
pub struct MortalStore {
    inner: MemoryStore,
    steps: Arc<AtomicUsize>,
    last: usize,
    death: Arc<watch::Sender<bool>>,
}

impl MortalStore {
    /// A way that takes so many steps.
    pub fn new(inner: &MemoryStore, last: usize) -> Self {
        Self { inner: inner.clone(), steps: Arc::default(), last, death: Arc::default() }
    }

    /// Is ready when the end is reached.
    pub async fn death(&self) {
        self.death.subscribe().wait_for(|is_dead| *is_dead).await.unwrap();
    }

    async fn step(&self) {
        if self.steps.fetch_add(1, Ordering::SeqCst) >= self.last {
            self.death.send_replace(true);
            std::future::pending::<()>().await;
        }
    }

    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.step().await;
        let answer = call.await;
        self.step().await;
        answer
    }
}

#[async_trait]
impl EventStore for MortalStore {
    fn identity(&self) -> StoreIdentity {
        self.inner.identity()
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        self.inner.bind(application).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.call(self.inner.append(append)).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        self.call(self.inner.append_all(appends)).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        self.call(self.inner.outcome(id)).await
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.call(self.inner.read_stream(stream_id, from, direction, limit)).await
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        self.call(self.inner.read_log(after, filter, limit)).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.inner.head().await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.inner.watch_head()
    }

    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError> {
        self.call(self.inner.stream_info(stream_id)).await
    }

    async fn link(&self, link: Link) -> Result<u64, AppendError> {
        self.inner.link(link).await
    }

    async fn delete_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        self.inner.delete_stream(stream_id, expected, deletion).await
    }

    async fn stored_state(&self, stream_id: &StreamId) -> Result<Option<StoredState>, StoreError> {
        self.inner.stored_state(stream_id).await
    }
}

#[async_trait]
impl CheckpointStore for MortalStore {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        self.call(self.inner.checkpoint(handler)).await
    }

    async fn save_checkpoint(&self, handler: &str, position: u64, epoch: u64) -> Result<(), CheckpointError> {
        self.call(self.inner.save_checkpoint(handler, position, epoch)).await
    }

    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError> {
        self.call(self.inner.delete_checkpoint(handler)).await
    }

    async fn commit(&self, handler: &str, epoch: u64, commit: HandlerCommit) -> Result<(), CheckpointError> {
        self.call(self.inner.commit(handler, epoch, commit)).await
    }

    async fn change_records(&self, handler: &str, commit: HandlerCommit) -> Result<(), StoreError> {
        self.call(self.inner.change_records(handler, commit)).await
    }

    async fn records_of(
        &self,
        handler: &str,
        kind: &str,
        keys: &[String],
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.call(self.inner.records_of(handler, kind, keys)).await
    }

    async fn records(
        &self,
        handler: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.call(self.inner.records(handler, kind, after, limit)).await
    }

    async fn due_records(
        &self,
        handler: &str,
        kind: &str,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.call(self.inner.due_records(handler, kind, at, limit)).await
    }
}

#[async_trait]
impl LeaseStore for MortalStore {
    async fn acquire_lease(
        &self,
        name: &str,
        owner: NodeId,
        ttl: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.call(self.inner.acquire_lease(name, owner, ttl)).await
    }

    async fn renew_leases(&self, owner: NodeId, ttl: Duration) -> Result<Vec<HeldLease>, StoreError> {
        self.inner.renew_leases(owner, ttl).await
    }

    async fn release_lease(&self, name: &str, epoch: u64) -> Result<(), StoreError> {
        self.call(self.inner.release_lease(name, epoch)).await
    }

    async fn call_owners(&self) -> Result<(), StoreError> {
        self.inner.call_owners().await
    }

    fn watch_leases(&self) -> watch::Receiver<u64> {
        self.inner.watch_leases()
    }
}

cqrs::testing::delegate_to_store!(MortalStore.inner: SnapshotStore);
