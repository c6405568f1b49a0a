use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs::id::{CommandId, NodeId};
use cqrs::store::{
    Append, AppendError, Appended, BindError, CheckpointError, CheckpointStore, Deletion, Direction,
    EventFilter, EventStore, ExpectedVersion, HandlerCommit, HandlerRecord, HeldLease, LeaseStore, Link,
    LogPage, RecordedEvent, Snapshot, SnapshotStore, Store, StoreError, StoreIdentity, StoredState, StreamId,
    StreamInfo,
};
use tokio::sync::watch;

use super::Fate;

/// A way to a store, which a life takes.
#[derive(Clone, Debug)]
pub struct MortalStore<S> {
    inner: S,
    fate: Fate,
    leases: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl<S: Store + Clone> MortalStore<S> {
    pub fn new(inner: &S, fate: &Fate) -> Self {
        Self { inner: inner.clone(), fate: fate.clone(), leases: Arc::default() }
    }

    /// Lets the time pass after which somebody else can take what this life has owned.
    pub async fn let_leases_run_out(&self) {
        let leases = std::mem::take(&mut *self.leases.lock().unwrap());
        for (name, epoch) in leases {
            self.inner.release_lease(&name, epoch).await.unwrap();
        }
    }

    /// An append that fails may have been made.
    async fn append_call<T>(
        &self,
        append_id: CommandId,
        append: impl Future<Output = Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        self.fate.call(append).await.map_err(|error| match error {
            AppendError::Store(StoreError::Unavailable(source)) => {
                AppendError::OutcomeUnknown { append_id, source }
            }
            error => error,
        })
    }
}

#[async_trait]
impl<S: Store + Clone> EventStore for MortalStore<S> {
    fn identity(&self) -> StoreIdentity {
        self.inner.identity()
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        self.fate.aside(self.inner.bind(application)).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.append_call(append.id, self.inner.append(append)).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        let first = appends[0].id;
        self.append_call(first, self.inner.append_all(appends)).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        self.fate.call(self.inner.outcome(id)).await
    }

    fn outcome_retention(&self) -> Option<Duration> {
        self.inner.outcome_retention()
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.fate.call(self.inner.read_stream(stream_id, from, direction, limit)).await
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        self.fate.call(self.inner.read_log(after, filter, limit)).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.fate.aside(self.inner.head()).await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.inner.watch_head()
    }

    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError> {
        self.fate.call(self.inner.stream_info(stream_id)).await
    }

    async fn link(&self, link: Link) -> Result<u64, AppendError> {
        self.fate.aside(self.inner.link(link)).await
    }

    async fn delete_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        self.fate.aside(self.inner.delete_stream(stream_id, expected, deletion)).await
    }

    async fn stored_state(&self, stream_id: &StreamId) -> Result<Option<StoredState>, StoreError> {
        self.fate.call(self.inner.stored_state(stream_id)).await
    }
}

#[async_trait]
impl<S: Store + Clone> CheckpointStore for MortalStore<S> {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        self.fate.call(self.inner.checkpoint(handler)).await
    }

    async fn save_checkpoint(&self, handler: &str, position: u64, epoch: u64) -> Result<(), CheckpointError> {
        self.fate.call(self.inner.save_checkpoint(handler, position, epoch)).await
    }

    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError> {
        self.fate.call(self.inner.delete_checkpoint(handler)).await
    }

    async fn commit(&self, handler: &str, epoch: u64, commit: HandlerCommit) -> Result<(), CheckpointError> {
        self.fate.call(self.inner.commit(handler, epoch, commit)).await
    }

    async fn change_records(&self, handler: &str, commit: HandlerCommit) -> Result<(), CheckpointError> {
        self.fate.call(self.inner.change_records(handler, commit)).await
    }

    async fn records_of(
        &self,
        handler: &str,
        kind: &str,
        keys: &[String],
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.fate.call(self.inner.records_of(handler, kind, keys)).await
    }

    async fn records(
        &self,
        handler: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.fate.call(self.inner.records(handler, kind, after, limit)).await
    }

    async fn due_records(
        &self,
        handler: &str,
        kind: &str,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.fate.call(self.inner.due_records(handler, kind, at, limit)).await
    }
}

#[async_trait]
impl<S: Store + Clone> LeaseStore for MortalStore<S> {
    async fn acquire_lease(
        &self,
        name: &str,
        owner: NodeId,
        ttl: Duration,
    ) -> Result<Option<u64>, StoreError> {
        let acquire = async {
            let epoch = self.inner.acquire_lease(name, owner, ttl).await?;
            if let Some(epoch) = epoch {
                self.leases.lock().unwrap().insert(name.to_owned(), epoch);
            }
            Ok(epoch)
        };
        self.fate.call(acquire).await
    }

    async fn renew_leases(&self, owner: NodeId, ttl: Duration) -> Result<Vec<HeldLease>, StoreError> {
        self.fate.aside(self.inner.renew_leases(owner, ttl)).await
    }

    async fn release_lease(&self, name: &str, epoch: u64) -> Result<(), StoreError> {
        self.fate.call(self.inner.release_lease(name, epoch)).await
    }

    async fn call_owners(&self) -> Result<(), StoreError> {
        self.fate.aside(self.inner.call_owners()).await
    }

    fn watch_leases(&self) -> watch::Receiver<u64> {
        self.inner.watch_leases()
    }
}

#[async_trait]
impl<S: Store + Clone> SnapshotStore for MortalStore<S> {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.fate.aside(self.inner.save_snapshot(snapshot)).await
    }

    async fn latest_snapshot(&self, stream_id: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.fate.aside(self.inner.latest_snapshot(stream_id)).await
    }

    async fn delete_snapshot(&self, stream_id: &StreamId) -> Result<(), StoreError> {
        self.fate.aside(self.inner.delete_snapshot(stream_id)).await
    }
}
