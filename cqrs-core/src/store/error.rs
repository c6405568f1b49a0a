use crate::BoxError;
use crate::id::{CommandId, EventId};
use crate::projection::InlineError;
use crate::store::{ExpectedVersion, StreamId};

/// Why an append, a link or a deletion did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The stream is not as expected.
    #[error("stream {stream_id:?}: expected {expected}, found version {actual}")]
    WrongExpectedVersion {
        /// The stream.
        stream_id: StreamId,
        /// What was expected.
        expected: ExpectedVersion,
        /// Its version; 0 when it does not exist.
        actual: u64,
    },
    /// The stream was deleted softly.
    #[error("stream {stream_id:?} is deleted")]
    StreamDeleted {
        /// The stream.
        stream_id: StreamId,
    },
    /// The stream that is to be deleted does not exist.
    #[error("stream {stream_id:?} does not exist")]
    StreamNotFound {
        /// The stream.
        stream_id: StreamId,
    },
    /// One append names a stream twice.
    #[error("append {append_id} names stream {stream_id:?} twice")]
    StreamTwice {
        /// The append.
        append_id: CommandId,
        /// The stream.
        stream_id: StreamId,
    },
    /// An event of this id is in the store, or stands in the append twice.
    #[error("event {event_id} is in the store already")]
    DuplicateEvent {
        /// The event.
        event_id: EventId,
    },
    /// One of several appends that are made as one was made before, or comes twice.
    #[error("append {append_id} was made before, or comes twice")]
    AlreadyAppended {
        /// The append.
        append_id: CommandId,
    },
    /// The append is larger than the store takes.
    #[error("append {append_id} has {bytes} bytes, the store takes {limit}")]
    TooLarge {
        /// The append.
        append_id: CommandId,
        /// Its size, as the store counts.
        bytes: usize,
        /// The largest size that the store takes.
        limit: usize,
    },
    /// A position that is to be linked holds no event, or is linked in that stream already.
    #[error("stream {stream_id:?}: position {position} cannot be linked: {reason}")]
    InvalidLink {
        /// The stream that was to receive it.
        stream_id: StreamId,
        /// The position.
        position: u64,
        /// Why not.
        reason: &'static str,
    },
    /// The deletion is not allowed by the store's configuration.
    #[error("stream {stream_id:?}: the store does not allow {deletion:?} deletion")]
    DeletionNotAllowed {
        /// The stream.
        stream_id: StreamId,
        /// The kind of deletion.
        deletion: crate::store::Deletion,
    },
    /// The store has a bound and has reached it.
    #[error("the store is full: {limit} events")]
    Full {
        /// The bound.
        limit: u64,
    },
    /// An inline projection did not take the events, and nothing was written.
    #[error("inline projection {projection:?} did not take the events")]
    NotProjected {
        /// The projection.
        projection: String,
        /// Why not.
        #[source]
        source: Box<InlineError>,
    },
    /// Whether the append happened could not be found out.
    #[error("the outcome of append {append_id} is unknown")]
    OutcomeUnknown {
        /// The append; making it again with the same id is safe.
        append_id: CommandId,
        /// What went wrong.
        #[source]
        source: BoxError,
    },
    /// The store failed, and nothing was written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AppendError {
    /// Whether another writer was first: reading the stream again and deciding anew may help.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::WrongExpectedVersion { .. })
    }
}

/// Why a store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached at the moment.
    #[error("the store is unavailable")]
    Unavailable(#[source] BoxError),
    /// The stream was deleted softly.
    #[error("stream {stream_id:?} is deleted")]
    StreamDeleted {
        /// The stream.
        stream_id: StreamId,
    },
    /// What it holds cannot be understood.
    #[error("the store holds corrupt data")]
    Corrupt(#[source] BoxError),
    /// The log ends before a checkpoint: it was put back to an earlier state.
    #[error(
        "the checkpoint of handler {handler:?} is {checkpoint}, but the log ends at {head}: its history has diverged; reset the handler"
    )]
    HistoryDiverged {
        /// The handler.
        handler: String,
        /// How far it has come.
        checkpoint: u64,
        /// How far the log goes.
        head: u64,
    },
    /// Anything else.
    #[error("the store failed")]
    Failed(#[source] BoxError),
}

impl StoreError {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Why the checkpoint of a handler was not saved, or its records were not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The lease of the handler has not, or no longer, this epoch: another node owns the handler.
    #[error("handler {handler:?}: epoch {epoch} of its lease is over")]
    Fenced {
        /// The handler.
        handler: String,
        /// The epoch of whoever wanted to save it.
        epoch: u64,
    },
    /// A record is not as it was expected ([`HandlerCommit::expected`]): somebody else was first.
    ///
    /// [`HandlerCommit::expected`]: crate::store::HandlerCommit::expected
    #[error("handler {handler:?}: the {kind} {key:?} has changed meanwhile")]
    Changed {
        /// The handler.
        handler: String,
        /// The record's kind.
        kind: String,
        /// The record's key.
        key: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// For what expects nothing, and is written by no owner: the store alone can be at fault.
impl From<CheckpointError> for StoreError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Store(error) => error,
            refused => Self::Failed(refused.into()),
        }
    }
}

/// Why an application cannot use a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The store belongs to another application.
    #[error("the store belongs to application {owner:?}, not to {application:?}")]
    OwnedByAnother {
        /// Who has it.
        owner: String,
        /// Who wants it.
        application: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
