use async_trait::async_trait;
use cqrs_core::store::{CheckpointError, CheckpointStore, StoreError};

use crate::MemoryStore;

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.lock().checkpoints.get(handler).copied())
    }

    async fn save_checkpoint(&self, handler: &str, position: u64, epoch: u64) -> Result<(), CheckpointError> {
        let mut contents = self.lock();
        if contents.leases.get(handler).is_none_or(|lease| lease.epoch != epoch) {
            return Err(CheckpointError::Fenced { handler: handler.to_owned(), epoch });
        }
        match contents.checkpoints.get_mut(handler) {
            Some(kept) => *kept = position.max(*kept),
            None => {
                contents.checkpoints.insert(handler.into(), position);
            }
        }
        Ok(())
    }

    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError> {
        self.lock().checkpoints.remove(handler);
        Ok(())
    }
}
