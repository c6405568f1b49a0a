use async_trait::async_trait;
use cqrs_core::store::{CheckpointError, CheckpointStore, StoreError};
use sqlx::Row as _;

use crate::PostgresStore;
use crate::rows::{signed, unsigned};

#[async_trait]
impl CheckpointStore for PostgresStore {
    async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, StoreError> {
        let position = self
            .ask_one(
                &self.shared.statements.checkpoint,
                |query| query.bind(handler.to_owned()),
                |row| row.try_get::<Option<i64>, _>(0),
            )
            .await?;
        Ok(position.flatten().map(unsigned))
    }

    async fn save_checkpoint(&self, handler: &str, position: u64, epoch: u64) -> Result<(), CheckpointError> {
        let saved = self
            .ask_one(
                &self.shared.statements.save_checkpoint,
                |query| query.bind(handler.to_owned()).bind(signed(position)).bind(signed(epoch)),
                |_| Ok(()),
            )
            .await?;
        saved.ok_or_else(|| CheckpointError::Fenced { handler: handler.to_owned(), epoch })
    }

    async fn delete_checkpoint(&self, handler: &str) -> Result<(), StoreError> {
        let sql = &self.shared.statements.delete_checkpoint;
        self.ask_one(sql, |query| query.bind(handler.to_owned()), |_| Ok(())).await.map(drop)
    }
}
