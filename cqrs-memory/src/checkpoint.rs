use async_trait::async_trait;
use cqrs_core::store::{CheckpointStore, StoreError};

use crate::MemoryStore;

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.lock().checkpoints.get(handler).copied())
    }

    async fn save_checkpoint(&self, handler: &str, position: u64) -> Result<(), StoreError> {
        let mut contents = self.lock();
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
