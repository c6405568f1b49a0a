use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::id::{CausationId, CommandId, CorrelationId};
use crate::store::{
    Append, AppendError, Appended, BindError, CheckpointStore, Deletion, Direction, EventFilter,
    ExpectedVersion, InlineAppend, LeaseStore, Link, LogPage, RecordedEvent, SnapshotStore, StoreError,
    StoredState, StreamId, StreamInfo,
};

/// Tells whether two handles lead to the same store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoreIdentity(Arc<str>);

impl StoreIdentity {
    /// An identity; equal texts mean the same store.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl fmt::Display for StoreIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The log of events, and the streams in it.
///
/// Versions and positions begin at 1. A stream that holds nothing does not exist, and reading it gives
/// nothing. Dropping a future of this trait before it is ready leaves the outcome open, never a part of it.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// Which store this is.
    fn identity(&self) -> StoreIdentity;

    /// Ties the store to an application's name. The first name is kept, any other is refused, so that two
    /// applications never share a log by mistake.
    async fn bind(&self, application: &str) -> Result<(), BindError>;

    /// Writes all of `append` or nothing.
    ///
    /// A store that has made an append of this id answers with the first outcome, whatever the append holds
    /// and whatever became of its streams since. An append that failed is not remembered: its id may come
    /// again. Every expectation is checked before anything is written, also that of a write without events.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;

    /// Makes several appends as one: all of them, in their order, or none.
    ///
    /// Each sees what the ones before it wrote, is remembered under its own id, and gets its own outcome; none of
    /// the outcomes is a repeated one. Their events lie together in the log, in order. No append at all is allowed.
    ///
    /// An id that the store knows already, or that comes twice, refuses all of them as
    /// [`AppendError::AlreadyAppended`], before anything else is looked at. When one of them fails, all fail with its
    /// error, and none is remembered.
    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError>;

    /// The outcome of an earlier append, if there was one; its `repeated` is set.
    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError>;

    /// How long a store knows the outcomes of appends at least; `None`, as provided, when it never forgets one.
    fn outcome_retention(&self) -> Option<Duration> {
        None
    }

    /// At most `limit` events of a stream, linked ones included.
    ///
    /// Forward: those with a version of at least `from`. Backward: those with a version of at most `from`;
    /// `u64::MAX` begins at the end. A limit of 0 gives nothing, a limit beyond the end gives what there is.
    ///
    /// An event's own `stream_id` and `stream_version` tell its origin, so what counts in a stream of links
    /// is the place: a page holds the places `from` to `from + limit - 1` (backward: `from - limit + 1` to
    /// `from`), 0 and places behind the end left out. The place of a link whose event was hard-deleted stays
    /// and gives nothing. A stream without such places is read to its end when a page is shorter than
    /// `limit`; one with them when the page reaches the version that [`EventStore::stream_info`] tells.
    ///
    /// A stream that was deleted softly is refused as [`StoreError::StreamDeleted`].
    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError>;

    /// The events of the log behind position `after` that pass the filter, at most `limit` of them; a store may
    /// end a page earlier, for instance when events are large. The page says how far it reaches; one that
    /// reaches no further than `after` is the end of the log for now. What passes is what
    /// [`EventFilter::passes`] says, each condition of the filter included.
    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError>;

    /// The position that was given last; 0 when none was. It stays when that event is hard-deleted.
    async fn head(&self) -> Result<u64, StoreError>;

    /// Follows [`EventStore::head`]: the receiver is woken after every append that wrote events, and appends
    /// that follow each other closely may share a waking. A store whose log is written by several processes
    /// may be late, never early: whatever position the receiver holds can be read.
    fn watch_head(&self) -> watch::Receiver<u64>;

    /// What is known of a stream, also of one that was deleted softly; `None` when it does not exist.
    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError>;

    /// Puts events of the log into a further stream, all or none; gives that stream's version.
    ///
    /// Their places follow the stream's latest version. A position without an event, one whose event the
    /// stream holds already, be it its own or linked, and one that is named twice are refused as
    /// [`AppendError::InvalidLink`]. No position at all is allowed, and begins no stream.
    async fn link(&self, link: Link) -> Result<u64, AppendError>;

    /// Deletes a stream that looks as expected.
    ///
    /// One that does not exist is [`AppendError::StreamNotFound`], whatever is expected; one that was deleted
    /// softly is [`AppendError::StreamDeleted`]. A hard deletion that the store's configuration forbids is
    /// [`AppendError::DeletionNotAllowed`] before anything else. Outcomes of appends stay, and so do states.
    async fn delete_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError>;

    /// The log as it was when it had come to position `up_to`: pages as those of [`EventStore::read_log`], none of which
    /// reaches further.
    ///
    /// What was hard-deleted since is not in it.
    ///
    /// ```
    /// # use cqrs_core::store::{EventFilter, EventStore, RecordedEvent, StoreError};
    /// async fn log_up_to(store: &dyn EventStore, position: u64) -> Result<Vec<RecordedEvent>, StoreError> {
    ///     let (mut events, mut after) = (Vec::new(), 0);
    ///     loop {
    ///         let page = store.read_log_up_to(after, position, &EventFilter::all(), 1_000).await?;
    ///         if page.read_to <= after {
    ///             return Ok(events);
    ///         }
    ///         events.extend(page.events);
    ///         after = page.read_to;
    ///     }
    /// }
    /// ```
    async fn read_log_up_to(
        &self,
        after: u64,
        up_to: u64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        let left = up_to.saturating_sub(after);
        if left == 0 {
            return Ok(LogPage::new(Vec::new(), after));
        }
        // Each position holds one event: more than that lie behind the end.
        let limit = usize::try_from(left).unwrap_or(usize::MAX).min(limit);
        let mut page = self.read_log(after, filter, limit).await?;
        page.events.retain(|event| event.position <= up_to);
        page.read_to = page.read_to.min(up_to);
        Ok(page)
    }

    /// The events behind position `after` that belong together by their correlation id, in pages as those of
    /// [`EventStore::read_log`].
    ///
    /// The same as [`EventStore::read_log`] with a filter by [correlation](EventFilter::correlation).
    async fn read_correlated(
        &self,
        correlation_id: CorrelationId,
        after: u64,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        self.read_log(after, &EventFilter::all().correlation(correlation_id), limit).await
    }

    /// An event that a message is known by: the event of that id, or the first event that the command of that id led to.
    /// `None` when there is neither.
    ///
    /// Unless a store has a better way, this walks through the log.
    async fn find_message(&self, id: CausationId) -> Result<Option<RecordedEvent>, StoreError> {
        walk_to_message(self, id).await
    }

    /// The state of a state-stored aggregate.
    async fn stored_state(&self, stream_id: &StreamId) -> Result<Option<StoredState>, StoreError>;

    /// The same store, if it can write the rows of projections in the transactions of its appends.
    fn inline(&self) -> Option<&dyn InlineAppend> {
        None
    }
}

/// How many events are read at once to find a few among them.
const WALK: usize = 1_000;

async fn walk_to_message<S: EventStore + ?Sized>(
    store: &S,
    id: CausationId,
) -> Result<Option<RecordedEvent>, StoreError> {
    let mut after = 0;
    loop {
        let page = store.read_log(after, &EventFilter::all(), WALK).await?;
        let is_it = |event: &RecordedEvent| event.causation_id == id || id == event.event_id.into();
        if let Some(event) = page.events.into_iter().find(is_it) {
            return Ok(Some(event));
        }
        if page.read_to <= after {
            return Ok(None);
        }
        after = page.read_to;
    }
}

/// A store with all that an application needs.
pub trait Store: EventStore + SnapshotStore + CheckpointStore + LeaseStore {}

impl<S: EventStore + SnapshotStore + CheckpointStore + LeaseStore> Store for S {}
