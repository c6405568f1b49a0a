//! What partitions bring to rows that are made anew by one upsert an event.

use std::time::Instant;

use async_trait::async_trait;
use cqrs::postgres::{PostgresRows, PostgresStore, Schema};
use cqrs::store::EventStore as _;

use crate::domain::Bank;
use crate::ours::balances::{Each, rows_on};
use crate::ours::fill::fill;
use crate::ours::log::{self, COUNT, FAULTS};
use crate::ours::projection::PATIENCE;
use crate::ours::rebuild::rebuild;
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::workload::{account_id, per_second};

/// How many events an account has.
const EACH: usize = 100;

/// One for each partition, one for the rows that readers see, and one to spare.
const CONNECTIONS: u32 = 10;

#[derive(Clone)]
pub(super) struct Divided {
    store: PostgresStore,
    rows: PostgresRows,
    events: usize,
}

impl Divided {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let events = course.effort().pick(20_000, 200_000);
        let own = Self { events, ..Self::set_up(course.database()).await? };
        for account in 0..events / EACH {
            fill(&own.store, account_id(account), EACH - 1).await?;
        }
        Ok(Ready::of(own.clone(), own))
    }

    /// The rate of a rebuild when nobody appends.
    async fn rate<const PARTITIONS: u16>(&self) -> Result<f64, BoxError> {
        let projection = Each::<false, PARTITIONS>(self.rows.clone());
        let bank = Bank::builder(self.store.clone()).projection(projection).start().await?;
        let balances = bank.projection::<Each<false, PARTITIONS>>().ok_or("the projection is there")?;
        balances.at_least(self.store.head().await?, PATIENCE).await?;
        let began = Instant::now();
        rebuild(&balances).await?;
        let took = began.elapsed();
        bank.shutdown().await;
        Ok(per_second(self.events, took))
    }
}

#[async_trait]
impl Contender for Divided {
    async fn measure(&self, _slice: Slice) -> Result<Vec<Value>, BoxError> {
        let whole = self.rate::<1>().await?;
        let divided = self.rate::<8>().await?;
        Ok(vec![
            Value::new("divided-1", whole, "events/s"),
            Value::new("divided-8", divided, "events/s"),
            Value::new(Metric::Divided, divided / whole, "x"),
        ])
    }

    fn acknowledged(&self) -> usize {
        self.events
    }
}

impl OnPostgres for Divided {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = log::open(database, Schema::default()).await?;
        Ok(Self { store, rows: rows_on(database, CONNECTIONS).await?, events: 0 })
    }

    async fn close(self) {
        self.rows.pool().close().await;
        self.store.pool().close().await;
    }
}
