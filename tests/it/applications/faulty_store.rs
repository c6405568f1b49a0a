//! A store that fails as a test tells it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cqrs::MemoryStore;
use cqrs::id::CommandId;
use cqrs::store::{
    Append, AppendError, Appended, BindError, CheckpointStore, Deletion, Direction, EventFilter, EventStore,
    ExpectedVersion, Link, LogPage, RecordedEvent, Snapshot, SnapshotStore, StoreError, StoreIdentity,
    StoredState, StreamId, StreamInfo,
};
use tokio::sync::watch;

/// A method of the store that can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Bind,
    Append,
    ReadLog,
    Head,
    Checkpoint,
    SaveCheckpoint,
}

/// How it fails.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    Unavailable,
    Panic,
    /// It never answers.
    Hang,
}

/// An in-memory store with faults.
#[derive(Clone, Debug, Default)]
pub struct FaultyStore {
    pub inner: MemoryStore,
    faults: Arc<Mutex<HashMap<Call, (Fault, usize)>>>,
    calls: Arc<Mutex<HashMap<Call, usize>>>,
}

impl FaultyStore {
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
                    Some(*fault)
                }
                _ => None,
            }
        };
        match fault {
            None => Ok(()),
            Some(Fault::Unavailable) => Err(StoreError::Unavailable(format!("{call:?} on purpose").into())),
            Some(Fault::Panic) => panic!("{call:?} on purpose"),
            Some(Fault::Hang) => std::future::pending().await,
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
impl SnapshotStore for FaultyStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.inner.save_snapshot(snapshot).await
    }

    async fn latest_snapshot(&self, stream_id: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.inner.latest_snapshot(stream_id).await
    }

    async fn delete_snapshot(&self, stream_id: &StreamId) -> Result<(), StoreError> {
        self.inner.delete_snapshot(stream_id).await
    }
}

#[async_trait]
impl CheckpointStore for FaultyStore {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        self.enter(Call::Checkpoint).await?;
        self.inner.checkpoint(handler).await
    }

    async fn save_checkpoint(&self, handler: &str, position: u64) -> Result<(), StoreError> {
        self.enter(Call::SaveCheckpoint).await?;
        self.inner.save_checkpoint(handler, position).await
    }

    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError> {
        self.inner.delete_checkpoint(handler).await
    }
}
