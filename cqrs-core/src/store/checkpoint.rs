use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::store::{CheckpointError, HandlerCommit, HandlerRecord, StoreError};

/// Keeps how far each handler has come, as a position in the log, and what it keeps beside that.
#[async_trait]
pub trait CheckpointStore: fmt::Debug + Send + Sync + 'static {
    /// The position up to which the handler of this name has handled everything; `None` when it never ran.
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError>;

    /// Keeps the position of a handler, for the owner of the lease that is named like it. A position lower than
    /// the one kept is ignored.
    ///
    /// `epoch` is what [`acquire_lease`] gave. When it is not the latest one of that lease, this is refused as
    /// [`CheckpointError::Fenced`] and changes nothing: another node has taken the handler over. A lease that
    /// has run out, and that nobody has taken, is good enough.
    ///
    /// [`acquire_lease`]: crate::store::LeaseStore::acquire_lease
    async fn save_checkpoint(&self, handler: &str, position: u64, epoch: u64) -> Result<(), CheckpointError>;

    /// Forgets the position of a handler; there need not be one. Its lease and its records stay as they are.
    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError>;

    /// Writes the position and records of a handler at once, under the conditions of
    /// [`CheckpointStore::save_checkpoint`].
    ///
    /// When a record that changes is not as the commit expects it ([`HandlerCommit::expected`]), this is refused as
    /// [`CheckpointError::Changed`] and changes nothing. Nobody changes the record between the look at it and the write,
    /// be it the owner or somebody who tells it something.
    async fn commit(&self, handler: &str, epoch: u64, commit: HandlerCommit) -> Result<(), CheckpointError>;

    /// Changes records of a handler at once, whoever owns it: for what is told to the owner by others. A position is
    /// ignored, what is expected counts as in [`CheckpointStore::commit`].
    ///
    /// When the answer to what expects something is lost, and it cannot be told whether it was written, that is
    /// [`StoreError::Unavailable`].
    async fn change_records(&self, handler: &str, commit: HandlerCommit) -> Result<(), CheckpointError>;

    /// Those records of a kind that have one of these keys, in any order.
    async fn records_of(
        &self,
        handler: &str,
        kind: &str,
        keys: &[String],
    ) -> Result<Vec<HandlerRecord>, StoreError>;

    /// A record of a handler.
    async fn record(
        &self,
        handler: &str,
        kind: &str,
        key: &str,
    ) -> Result<Option<HandlerRecord>, StoreError> {
        Ok(self.records_of(handler, kind, &[key.to_owned()]).await?.pop())
    }

    /// The records of a kind with keys behind `after`, all when it is `None`, at most `limit` of them, in the
    /// order of the bytes of their keys.
    async fn records(
        &self,
        handler: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError>;

    /// The records of a kind that are due at a time, at most `limit` of them, the earliest first.
    async fn due_records(
        &self,
        handler: &str,
        kind: &str,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError>;
}
