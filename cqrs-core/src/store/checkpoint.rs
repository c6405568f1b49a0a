use std::fmt;

use async_trait::async_trait;

use crate::store::StoreError;

/// Keeps how far each handler has come, as a position in the log.
#[async_trait]
pub trait CheckpointStore: fmt::Debug + Send + Sync + 'static {
    /// The position up to which the handler of this name has handled everything; `None` when it never ran.
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError>;

    /// Keeps the position of a handler. A position lower than the one kept is ignored.
    async fn save_checkpoint(&self, handler: &str, position: u64) -> Result<(), StoreError>;

    /// Forgets a handler; there need not be one.
    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError>;
}
