use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs_core::store::{CheckpointError, CheckpointStore, HandlerCommit, HandlerRecord, StoreError};

use crate::MemoryStore;
use crate::contents::Contents;

impl Contents {
    fn check_epoch(&self, handler: &str, epoch: u64) -> Result<(), CheckpointError> {
        if self.leases.get(handler).is_some_and(|lease| lease.epoch == epoch) {
            return Ok(());
        }
        Err(CheckpointError::Fenced { handler: handler.to_owned(), epoch })
    }

    fn check_expected(&self, handler: &str, commit: &HandlerCommit) -> Result<(), CheckpointError> {
        let Some((kind, key)) = self.records.first_changed(handler, commit) else { return Ok(()) };
        let (kind, key) = (kind.clone().into_owned(), key.clone());
        Err(CheckpointError::Changed { handler: handler.to_owned(), kind, key })
    }

    fn move_checkpoint(&mut self, handler: &str, position: u64) {
        match self.checkpoints.get_mut(handler) {
            Some(kept) => *kept = position.max(*kept),
            None => {
                self.checkpoints.insert(handler.into(), position);
            }
        }
    }
}

#[async_trait]
impl CheckpointStore for MemoryStore {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        Ok(self.lock().checkpoints.get(handler).copied())
    }

    async fn save_checkpoint(&self, handler: &str, position: u64, epoch: u64) -> Result<(), CheckpointError> {
        let mut contents = self.lock();
        contents.check_epoch(handler, epoch)?;
        contents.move_checkpoint(handler, position);
        Ok(())
    }

    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError> {
        self.lock().checkpoints.remove(handler);
        Ok(())
    }

    async fn commit(&self, handler: &str, epoch: u64, commit: HandlerCommit) -> Result<(), CheckpointError> {
        let mut contents = self.lock();
        contents.check_epoch(handler, epoch)?;
        contents.check_expected(handler, &commit)?;
        if let Some(position) = commit.position {
            contents.move_checkpoint(handler, position);
        }
        contents.records.change(handler, commit);
        Ok(())
    }

    async fn change_records(&self, handler: &str, commit: HandlerCommit) -> Result<(), CheckpointError> {
        let mut contents = self.lock();
        contents.check_expected(handler, &commit)?;
        contents.records.change(handler, commit);
        Ok(())
    }

    async fn records_of(
        &self,
        handler: &str,
        kind: &str,
        keys: &[String],
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        let contents = self.lock();
        Ok(keys.iter().filter_map(|key| contents.records.get(handler, kind, key)).collect())
    }

    async fn records(
        &self,
        handler: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        Ok(self.lock().records.page(handler, kind, after, limit))
    }

    async fn due_records(
        &self,
        handler: &str,
        kind: &str,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        Ok(self.lock().records.due(handler, kind, at, limit))
    }
}
