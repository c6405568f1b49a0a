//! Commands for one account whose store takes a millisecond an append, as one behind a network and a disk does.

use std::time::Duration;

use async_trait::async_trait;
use cqrs::MemoryStore;
use cqrs::id::CommandId;
use cqrs::store::{
    Append, AppendError, Appended, BindError, CheckpointStore, Deletion, Direction, EventFilter, EventStore,
    ExpectedVersion, Link, LogPage, RecordedEvent, Snapshot, SnapshotStore, StoreError, StoreIdentity,
    StoredState, StreamId, StreamInfo,
};
use tokio::sync::watch;

use crate::dispatch::on;
use crate::point::{BoxError, Effort, Point, Value};
use crate::workload::{Load, two_workers};

/// What an append takes longer than on a store in memory.
const TRIP: Duration = Duration::from_millis(1);

pub(crate) fn measure(point: Point, effort: Effort) -> Result<Vec<Value>, BoxError> {
    let commands = effort.pick(200, 1_000) * point.callers;
    let load = Load { callers: point.callers, accounts: 1, commands };
    two_workers()?.block_on(on(Distant(MemoryStore::new()), point.metric, load))
}

/// A store in memory that is far away.
#[derive(Clone, Debug)]
struct Distant(MemoryStore);

#[async_trait]
impl EventStore for Distant {
    fn identity(&self) -> StoreIdentity {
        self.0.identity()
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        self.0.bind(application).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        tokio::time::sleep(TRIP).await;
        self.0.append(append).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        tokio::time::sleep(TRIP).await;
        self.0.append_all(appends).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        self.0.outcome(id).await
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.0.read_stream(stream_id, from, direction, limit).await
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        self.0.read_log(after, filter, limit).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.0.head().await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.0.watch_head()
    }

    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError> {
        self.0.stream_info(stream_id).await
    }

    async fn link(&self, link: Link) -> Result<u64, AppendError> {
        self.0.link(link).await
    }

    async fn delete_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        self.0.delete_stream(stream_id, expected, deletion).await
    }

    async fn stored_state(&self, stream_id: &StreamId) -> Result<Option<StoredState>, StoreError> {
        self.0.stored_state(stream_id).await
    }
}

#[async_trait]
impl SnapshotStore for Distant {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.0.save_snapshot(snapshot).await
    }

    async fn latest_snapshot(&self, stream_id: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.0.latest_snapshot(stream_id).await
    }

    async fn delete_snapshot(&self, stream_id: &StreamId) -> Result<(), StoreError> {
        self.0.delete_snapshot(stream_id).await
    }
}

#[async_trait]
impl CheckpointStore for Distant {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        self.0.checkpoint(handler).await
    }

    async fn save_checkpoint(&self, handler: &str, position: u64) -> Result<(), StoreError> {
        self.0.save_checkpoint(handler, position).await
    }

    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError> {
        self.0.delete_checkpoint(handler).await
    }
}
