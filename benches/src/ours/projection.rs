//! How fast rows are made of events: by a projection that writes one row an event, by one that has them written many at
//! a time, by one that is given many events at a time, and by hand.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use cqrs::postgres::{PostgresRows, PostgresStore, Schema};
use cqrs::projection::Projection;
use cqrs::store::EventStore as _;

use crate::domain;
use crate::ours::balances::{Batched, InBulk, OneByOne, by_hand, check_names, rows};
use crate::ours::fill::fill;
use crate::ours::log::{self, COUNT, FAULTS};
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::workload::{account_id, per_second};

/// How many events an account has.
const EACH: usize = 100;

/// How long a projection may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Clone)]
pub(super) struct Projections {
    store: PostgresStore,
    rows: PostgresRows,
    events: usize,
}

impl Projections {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        check_names()?;
        let events = course.effort().pick(20_000, 200_000);
        let own = Self { events, ..Self::set_up(course.database()).await? };
        for account in 0..events / EACH {
            fill(&own.store, account_id(account), EACH - 1).await?;
        }
        Ok(Ready::of(own.clone(), own))
    }

    /// The rate of a projection that begins at the first event.
    async fn rate<P: Projection>(&self, slice: Slice, projection: P) -> Result<f64, BoxError> {
        let name = format!("{}_{}", P::NAME, slice.number);
        let bank = domain::Bank::builder(self.store.clone()).projection_as(&name, projection);
        let began = Instant::now();
        let bank = bank.start().await?;
        let rows = bank.projection_named(&name).ok_or("the projection is there")?;
        rows.at_least(self.store.head().await?, PATIENCE).await?;
        let took = began.elapsed();
        bank.shutdown().await;
        Ok(per_second(self.events, took))
    }
}

#[async_trait]
impl Contender for Projections {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let one_by_one = self.rate(slice, OneByOne(self.rows.clone())).await?;
        let in_bulk = self.rate(slice, InBulk(self.rows.clone().bulk())).await?;
        let batched = self.rate(slice, Batched(self.rows.clone())).await?;
        let began = Instant::now();
        by_hand(&self.store, self.rows.pool(), &format!("by_hand_{}", slice.number), self.events as u64)
            .await?;
        let hand = per_second(self.events, began.elapsed());
        Ok(vec![
            Value::new(Metric::Projection, one_by_one, "events/s"),
            Value::new("projection-bulk", in_bulk, "events/s"),
            Value::new("projection-batched", batched, "events/s"),
            Value::new("projection-by-hand", hand, "events/s"),
            Value::new("projection-to-hand", one_by_one / hand, "x"),
            Value::new("projection-bulk-to-hand", in_bulk / hand, "x"),
            Value::new("projection-batched-to-hand", batched / hand, "x"),
        ])
    }

    fn acknowledged(&self) -> usize {
        self.events
    }
}

impl OnPostgres for Projections {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = log::open(database, Schema::default()).await?;
        Ok(Self { store, rows: rows(database).await?, events: 0 })
    }

    async fn close(self) {
        self.rows.pool().close().await;
        self.store.pool().close().await;
    }
}
