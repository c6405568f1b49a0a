use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cqrs::MemoryStore;
use cqrs::id::CommandId;
use cqrs::store::{
    Append, AppendError, Appended, BindError, Deletion, Direction, EventFilter, EventStore, ExpectedVersion,
    Link, LogPage, RecordedEvent, StoreError, StoreIdentity, StoredState, StreamId, StreamInfo,
};
use tokio::sync::watch;

use super::gate::Gate;

/// What happens at one append.
#[derive(Debug)]
pub enum Act {
    /// It is made.
    Pass,
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
    /// The connection is lost before the commit: it is not made, but nobody knows.
    LoseAppend,
    /// The connection is lost before the commit, and the store makes it later: when [`ScriptedStore::land`] is called,
    /// or at [`Act::Land`].
    Delay,
    /// What was delayed is made first.
    Land,
    /// It is made, and then the store panics.
    Panic,
}

/// A memory store whose appends follow a script; without one they are as usual.
#[derive(Clone, Debug, Default)]
pub struct ScriptedStore {
    pub inner: MemoryStore,
    script: Arc<Mutex<VecDeque<Act>>>,
    calls: Arc<Mutex<Vec<usize>>>,
    delayed: Arc<Mutex<Vec<Append>>>,
    is_deaf: Arc<AtomicBool>,
    page: Arc<AtomicUsize>,
    reads: Arc<AtomicUsize>,
    questions: Arc<AtomicUsize>,
    pages: Arc<AtomicUsize>,
    is_slow: bool,
}

impl ScriptedStore {
    pub fn new(script: impl IntoIterator<Item = Act>) -> Self {
        let store = Self::default();
        store.then(script);
        store
    }

    /// A store without a script on this one.
    pub fn on(inner: MemoryStore) -> Self {
        Self { inner, ..Self::default() }
    }

    /// A store that lets other tasks go first at each call, as one behind a network does.
    pub fn slow(inner: MemoryStore) -> Self {
        Self { inner, is_slow: true, ..Self::default() }
    }

    /// Makes appends as the script says.
    async fn play<T>(
        &self,
        appends: Vec<Append>,
        make: impl AsyncFnOnce(Vec<Append>) -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        self.calls.lock().unwrap().push(appends.len());
        let act = self.script.lock().unwrap().pop_front();
        let append_id = appends[0].id;
        let lost = || AppendError::OutcomeUnknown { append_id, source: "unplugged".into() };
        self.travel().await;
        match act {
            None | Some(Act::Pass) => {
                let appended = make(appends).await;
                self.travel().await;
                appended
            }
            Some(Act::HoldBefore(gate)) => {
                gate.pass().await;
                make(appends).await
            }
            Some(Act::HoldAfter(gate)) => {
                let appended = make(appends).await;
                gate.pass().await;
                appended
            }
            Some(Act::After(first)) => {
                self.inner.append(first).await?;
                make(appends).await
            }
            Some(Act::Fail) => Err(StoreError::Unavailable("unplugged".into()).into()),
            Some(Act::TooLarge) => Err(AppendError::TooLarge { append_id, bytes: 1_001, limit: 1_000 }),
            Some(Act::LoseOutcome) => {
                make(appends).await?;
                Err(lost())
            }
            Some(Act::LoseAppend) => Err(lost()),
            Some(Act::Delay) => {
                *self.delayed.lock().unwrap() = appends;
                Err(lost())
            }
            Some(Act::Land) => {
                self.land().await;
                make(appends).await
            }
            Some(Act::Panic) => {
                make(appends).await?;
                panic!("the store panics");
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
        self.calls.lock().unwrap().len()
    }

    /// How many appends each call was to make as one.
    pub fn calls(&self) -> Vec<usize> {
        self.calls.lock().unwrap().clone()
    }

    /// Whether the outcome of an append cannot be asked for.
    pub fn be_deaf(&self, is_deaf: bool) {
        self.is_deaf.store(is_deaf, Ordering::SeqCst);
    }

    /// Makes what was delayed.
    pub async fn land(&self) {
        let delayed = std::mem::take(&mut *self.delayed.lock().unwrap());
        // Whoever sent it may have made it again by now; then it comes to nothing.
        let _ = self.inner.append_all(delayed).await;
    }

    /// How many pages of streams were read.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    /// How many times an append's outcome was asked for.
    pub fn questions(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }

    /// How many pages of the log were read.
    pub fn pages(&self) -> usize {
        self.pages.load(Ordering::SeqCst)
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
        self.play(vec![append], async |mut appends| self.inner.append(appends.remove(0)).await).await
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        self.play(appends, async |appends| self.inner.append_all(appends).await).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        self.travel().await;
        if self.is_deaf.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("unplugged".into()));
        }
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
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.travel().await;
        self.inner.read_stream(stream_id, from, direction, limit).await
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        self.pages.fetch_add(1, Ordering::SeqCst);
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

cqrs::testing::delegate_to_store!(ScriptedStore.inner: SnapshotStore, CheckpointStore, LeaseStore);
