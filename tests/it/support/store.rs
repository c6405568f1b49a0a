use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cqrs::MemoryStore;
use cqrs::id::CommandId;
use cqrs::store::{
    Append, AppendError, Appended, BindError, Deletion, Direction, EventFilter, EventStore, ExpectedVersion,
    Link, LogPage, RecordedEvent, StoreError, StoreIdentity, StoredState, StreamId, StreamInfo,
};
use tokio::sync::watch;

use super::delegate::delegate_to_inner;
use super::gate::Gate;

/// What happens at one append.
#[derive(Debug)]
pub enum Act {
    /// It waits at the gate, then it is made.
    HoldBefore(Gate),
    /// It is made, then it waits at the gate.
    HoldAfter(Gate),
    /// Another writer is first.
    After(Append),
    /// The store fails, and nothing is written.
    Fail,
    /// It is larger than the store takes.
    TooLarge,
    /// The connection is lost behind the commit: it is made, but nobody knows.
    LoseOutcome,
}

/// A memory store whose appends follow a script; without one they are as usual.
#[derive(Clone, Debug, Default)]
pub struct ScriptedStore {
    pub inner: MemoryStore,
    script: Arc<Mutex<VecDeque<Act>>>,
    appends: Arc<AtomicUsize>,
    page: Arc<AtomicUsize>,
    is_slow: bool,
}

impl ScriptedStore {
    pub fn new(script: impl IntoIterator<Item = Act>) -> Self {
        let store = Self::default();
        store.then(script);
        store
    }

    /// A store that lets other tasks go first at each call, as one behind a network does.
    pub fn slow(inner: MemoryStore) -> Self {
        Self { inner, is_slow: true, ..Self::default() }
    }

    /// Makes an append, or several as one, as the script says.
    async fn play<T>(
        &self,
        append_id: CommandId,
        append: impl Future<Output = Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        let act = self.script.lock().unwrap().pop_front();
        self.travel().await;
        match act {
            None => {
                let appended = append.await;
                self.travel().await;
                appended
            }
            Some(Act::HoldBefore(gate)) => {
                gate.pass().await;
                append.await
            }
            Some(Act::HoldAfter(gate)) => {
                let appended = append.await;
                gate.pass().await;
                appended
            }
            Some(Act::After(first)) => {
                self.inner.append(first).await?;
                append.await
            }
            Some(Act::Fail) => Err(StoreError::Unavailable("unplugged".into()).into()),
            Some(Act::TooLarge) => Err(AppendError::TooLarge { append_id, bytes: 1_001, limit: 1_000 }),
            Some(Act::LoseOutcome) => {
                append.await?;
                Err(AppendError::OutcomeUnknown { append_id, source: "unplugged".into() })
            }
        }
    }

    async fn travel(&self) {
        if self.is_slow {
            tokio::task::yield_now().await;
        }
    }

    /// Adds to the script.
    pub fn then(&self, script: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().extend(script);
    }

    /// How many appends were tried.
    pub fn appends(&self) -> usize {
        self.appends.load(Ordering::SeqCst)
    }

    /// The largest page that was asked for.
    pub fn largest_page(&self) -> usize {
        self.page.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl EventStore for ScriptedStore {
    fn identity(&self) -> StoreIdentity {
        EventStore::identity(&self.inner)
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        self.inner.bind(application).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let append_id = append.id;
        self.play(append_id, self.inner.append(append)).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        let append_id = appends[0].id;
        self.play(append_id, self.inner.append_all(appends)).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        self.travel().await;
        self.inner.outcome(id).await
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.page.fetch_max(limit, Ordering::SeqCst);
        self.travel().await;
        self.inner.read_stream(stream_id, from, direction, limit).await
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        self.inner.read_log(after, filter, limit).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        EventStore::head(&self.inner).await
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

delegate_to_inner!(ScriptedStore: SnapshotStore, CheckpointStore, LeaseStore);
