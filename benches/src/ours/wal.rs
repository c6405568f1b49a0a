//! How much is written ahead for an event: the bytes by which the server's log grows.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sqlx::PgPool;

use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Calls, Contender, Course, OnPostgres, Ready, Slice};

const WRITTEN: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";

pub(crate) struct Wal<C> {
    calls: C,
    pool: PgPool,
    acknowledged: AtomicUsize,
}

impl<C: Calls + OnPostgres> Wal<C> {
    pub(crate) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let calls = C::set_up(course.database()).await?;
        let pool = course.database().pool(1).await?;
        Ok(Ready::of(calls.clone(), Self { calls, pool, acknowledged: AtomicUsize::new(0) }))
    }

    async fn written(&self) -> Result<f64, BoxError> {
        Ok(sqlx::query_scalar(WRITTEN).fetch_one(&self.pool).await?)
    }
}

#[async_trait]
impl<C: Calls + OnPostgres> Contender for Wal<C> {
    /// Whole pages are written when they change first after a checkpoint, so that each slice begins with one.
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        sqlx::query("CHECKPOINT").execute(&self.pool).await?;
        let before = self.written().await?;
        let events = slice.run(&self.calls).await?.acknowledged;
        let after = self.written().await?;
        self.acknowledged.fetch_add(events, Ordering::Relaxed);
        Ok(vec![Value::new(Metric::Wal, each(after - before, events), "bytes/event")])
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn each(bytes: f64, events: usize) -> f64 {
    bytes / events as f64
}
