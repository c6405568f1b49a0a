use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs_core::store::{CheckpointError, CheckpointStore, HandlerCommit, HandlerRecord, StoreError};
use sqlx::Row as _;

use crate::PostgresStore;
use crate::records::{Changes, of_kind, record};
use crate::rows::{signed, unsigned};

/// Numbers the commits of records, so that one that the server executes late does not undo what came after it.
#[derive(Default)]
pub(crate) struct CommitNumbers(AtomicI64);

impl CommitNumbers {
    /// A number above those before; by the clock, so that another store of the same owner goes on above as well.
    fn next(&self) -> i64 {
        let now = Utc::now().timestamp_micros();
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)));
        last.map_or(now, |last| now.max(last + 1))
    }
}

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

    async fn commit(&self, handler: &str, epoch: u64, commit: HandlerCommit) -> Result<(), CheckpointError> {
        let number = self.shared.commits.next();
        if !commit.expected.is_empty() {
            return self.commit_expecting(handler, epoch, commit, number).await;
        }
        let position = commit.position.map(signed);
        let changes = Changes::of(handler, commit);
        let committed = self
            .ask_one(
                &self.shared.statements.commit,
                |query| changes.bind(query).bind(position).bind(signed(epoch)).bind(number),
                |_| Ok(()),
            )
            .await?;
        committed.ok_or_else(|| CheckpointError::Fenced { handler: handler.to_owned(), epoch })
    }

    async fn change_records(&self, handler: &str, commit: HandlerCommit) -> Result<(), CheckpointError> {
        if !commit.expected.is_empty() {
            return self.change_expecting(handler, commit).await;
        }
        let changes = Changes::of(handler, commit);
        let sql = &self.shared.statements.change_records;
        Ok(self.ask_one(sql, |query| changes.bind(query), |_| Ok(())).await.map(drop)?)
    }

    async fn records_of(
        &self,
        handler: &str,
        kind: &str,
        keys: &[String],
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        let bind = of_kind(handler, kind);
        let keys = keys.to_vec();
        let bind = |query| bind(query).bind(keys.clone());
        self.ask(&self.shared.statements.records_of, bind, record).await
    }

    async fn records(
        &self,
        handler: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        let bind = of_kind(handler, kind);
        let after = after.map(str::to_owned);
        let bind = |query| bind(query).bind(after.clone()).bind(signed(limit as u64));
        self.ask(&self.shared.statements.records, bind, record).await
    }

    async fn due_records(
        &self,
        handler: &str,
        kind: &str,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        let bind = of_kind(handler, kind);
        let bind = |query| bind(query).bind(at).bind(signed(limit as u64));
        self.ask(&self.shared.statements.due_records, bind, record).await
    }
}
