use std::fmt;

use async_trait::async_trait;

use crate::store::{CheckpointError, StoreError};

/// Keeps how far each handler has come, as a position in the log.
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

    /// Forgets the position of a handler; there need not be one. Its lease stays as it is.
    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError>;
}
