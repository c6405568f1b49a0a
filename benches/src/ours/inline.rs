//! What it costs a command that the rows of its events are written with them: one projection, one upsert an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cqrs::postgres::{PostgresRows, PostgresStore, Schema};
use cqrs::projection::Projection;
use cqrs::store::EventStore as _;

use crate::domain::Bank;
use crate::ours::balances::{Each, rows};
use crate::ours::log::{self, COUNT, FAULTS};
use crate::ours::projection::PATIENCE;
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Banking, Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::workload::per_second;

const ACCOUNTS: usize = 1_000;

#[derive(Clone)]
pub(super) struct Inline {
    store: PostgresStore,
    rows: PostgresRows,
    stored: Arc<AtomicUsize>,
}

impl Inline {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let own = Self::set_up(course.database()).await?;
        let bank = Bank::builder(own.store.clone()).start().await?;
        Banking::open(bank.clone(), ACCOUNTS, Metric::Inline).await?;
        bank.shutdown().await;
        own.stored.store(ACCOUNTS, Ordering::Relaxed);
        Ok(Ready::of(own.clone(), own))
    }

    /// The rate of commands with this projection, whose rows have caught up before.
    async fn rate_with<P: Projection>(&self, slice: Slice, projection: P) -> Result<f64, BoxError> {
        let bank = Bank::builder(self.store.clone()).projection(projection).start().await?;
        let rows = bank.projection::<P>().ok_or("the projection is there")?;
        rows.at_least(self.store.head().await?, PATIENCE).await?;
        let rate = self.rate(slice, &bank).await?;
        rows.at_least(self.store.head().await?, PATIENCE).await?;
        bank.shutdown().await;
        Ok(rate)
    }

    async fn rate(&self, slice: Slice, bank: &Bank) -> Result<f64, BoxError> {
        let answered = slice.run(&Banking::on(bank.clone(), ACCOUNTS)).await?;
        self.stored.fetch_add(answered.acknowledged, Ordering::Relaxed);
        Ok(per_second(answered.events, slice.length))
    }
}

#[async_trait]
impl Contender for Inline {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let bank = Bank::builder(self.store.clone()).start().await?;
        let without = self.rate(slice, &bank).await?;
        bank.shutdown().await;
        let behind = self.rate_with(slice, Each::<false, 1>(self.rows.clone())).await?;
        let inline = self.rate_with(slice, Each::<true, 1>(self.rows.clone())).await?;
        Ok(vec![
            Value::new("inline-without", without, "commands/s"),
            Value::new("inline-behind", behind, "commands/s"),
            Value::new(Metric::Inline, inline, "commands/s"),
            Value::new("inline-kept", inline / without, "x"),
        ])
    }

    fn acknowledged(&self) -> usize {
        self.stored.load(Ordering::Relaxed)
    }
}

impl OnPostgres for Inline {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = log::open(database, Schema::default()).await?;
        Ok(Self { store, rows: rows(database).await?, stored: Arc::default() })
    }

    async fn close(self) {
        self.rows.pool().close().await;
        self.store.pool().close().await;
    }
}
