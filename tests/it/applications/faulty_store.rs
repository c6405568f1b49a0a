//! A store that fails as a test tells it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
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
use tokio::sync::{Notify, watch};

/// A method of the store that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Bind,
    Append,
    ReadLog,
    ReadStream,
    Head,
    Checkpoint,
    SaveCheckpoint,
    Commit,
    /// It is committed by then.
    CommitAnswer,
    ChangeRecords,
    Records,
    DueRecords,
    AcquireLease,
    RenewLeases,
    ReleaseLease,
}

/// How it fails.
#[derive(Clone, Debug)]
pub enum Fault {
    Unavailable,
    Panic,
    /// It never answers.
    Hang,
    /// It waits until it is notified, and is carried out then.
    Hold(Arc<Notify>),
}

/// An in-memory store with faults.
#[derive(Clone, Debug, Default)]
pub struct FaultyStore {
    pub inner: MemoryStore,
    faults: Arc<Mutex<HashMap<Call, (Fault, usize)>>>,
    calls: Arc<Mutex<HashMap<Call, usize>>>,
}

impl FaultyStore {
    /// A further way to a store, with faults of its own.
    pub fn on(inner: &MemoryStore) -> Self {
        Self { inner: inner.clone(), ..Self::default() }
    }

    /// The next calls of this kind fail.
    pub fn fail(&self, call: Call, fault: Fault, times: usize) {
        self.faults.lock().unwrap().insert(call, (fault, times));
    }

    /// The calls of this kind do not fail any more.
    pub fn heal(&self, call: Call) {
        self.faults.lock().unwrap().remove(&call);
    }

    /// How often this was called.
    pub fn calls(&self, call: Call) -> usize {
        self.calls.lock().unwrap().get(&call).copied().unwrap_or(0)
    }

    async fn enter(&self, call: Call) -> Result<(), StoreError> {
        *self.calls.lock().unwrap().entry(call).or_default() += 1;
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            match faults.get_mut(&call) {
                Some((fault, times)) if *times > 0 => {
                    *times -= 1;
                    Some(fault.clone())
                }
                _ => None,
            }
        };
        match fault {
            None => Ok(()),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable(format!("{call:?} on purpose").into())),
            Some(Fault::Panic) => panic!("{call:?} on purpose"),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Hold(go_on)) => {
                go_on.notified().await;
                Ok(())
            }
        }
    }
}

#[async_trait]
impl EventStore for FaultyStore {
    fn identity(&self) -> StoreIdentity {
        self.inner.identity()
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        self.enter(Call::Bind).await?;
        self.inner.bind(application).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.enter(Call::Append).await?;
        self.inner.append(append).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        self.enter(Call::Append).await?;
        self.inner.append_all(appends).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        self.inner.outcome(id).await
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.enter(Call::ReadStream).await?;
        self.inner.read_stream(stream_id, from, direction, limit).await
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        self.enter(Call::ReadLog).await?;
        self.inner.read_log(after, filter, limit).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.enter(Call::Head).await?;
        self.inner.head().await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.inner.watch_head()
    }

    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError> {
        self.inner.stream_info(stream_id).await
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
impl CheckpointStore for FaultyStore {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        self.enter(Call::Checkpoint).await?;
        self.inner.checkpoint(handler).await
    }

    async fn save_checkpoint(&self, handler: &str, position: u64, epoch: u64) -> Result<(), CheckpointError> {
        self.enter(Call::SaveCheckpoint).await?;
        self.inner.save_checkpoint(handler, position, epoch).await
    }

    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError> {
        self.inner.delete_checkpoint(handler).await
    }

    async fn commit(&self, handler: &str, epoch: u64, commit: HandlerCommit) -> Result<(), CheckpointError> {
        self.enter(Call::Commit).await?;
        self.inner.commit(handler, epoch, commit).await?;
        Ok(self.enter(Call::CommitAnswer).await?)
    }

    async fn change_records(&self, handler: &str, commit: HandlerCommit) -> Result<(), CheckpointError> {
        self.enter(Call::ChangeRecords).await?;
        self.inner.change_records(handler, commit).await
    }

    async fn records_of(
        &self,
        handler: &str,
        kind: &str,
        keys: &[String],
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.inner.records_of(handler, kind, keys).await
    }

    async fn records(
        &self,
        handler: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.enter(Call::Records).await?;
        self.inner.records(handler, kind, after, limit).await
    }

    async fn due_records(
        &self,
        handler: &str,
        kind: &str,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.enter(Call::DueRecords).await?;
        self.inner.due_records(handler, kind, at, limit).await
    }
}

#[async_trait]
impl LeaseStore for FaultyStore {
    async fn acquire_lease(
        &self,
        name: &str,
        owner: NodeId,
        ttl: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.enter(Call::AcquireLease).await?;
        self.inner.acquire_lease(name, owner, ttl).await
    }

    async fn renew_leases(&self, owner: NodeId, ttl: Duration) -> Result<Vec<HeldLease>, StoreError> {
        self.enter(Call::RenewLeases).await?;
        self.inner.renew_leases(owner, ttl).await
    }

    async fn release_lease(&self, name: &str, epoch: u64) -> Result<(), StoreError> {
        self.enter(Call::ReleaseLease).await?;
        self.inner.release_lease(name, epoch).await
    }

    async fn call_owners(&self) -> Result<(), StoreError> {
        self.inner.call_owners().await
    }

    fn watch_leases(&self) -> watch::Receiver<u64> {
        self.inner.watch_leases()
    }
}

cqrs::testing::delegate_to_store!(FaultyStore.inner: SnapshotStore);
