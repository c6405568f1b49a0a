//! How fast scheduled commands are carried out that are due together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::Utc;
use cqrs::postgres::{PostgresStore, Schema};
use cqrs::prelude::*;
use cqrs::schedule::{Schedule, Scheduler};
use cqrs::store::EventStore as _;

use crate::ours::log::{self, COUNT, FAULTS};
use crate::ours::money::application::BankRouter;
use crate::ours::money::domain::OpenAccount;
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::workload::per_second;

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(120);

application! {
    struct Clockwork {
        routers: [BankRouter],
        process_managers: [Scheduler],
    }
}

#[derive(Clone)]
pub(super) struct Timers {
    clockwork: Clockwork,
    store: PostgresStore,
    timers: usize,
    stored: Arc<AtomicUsize>,
}

impl Timers {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let timers = course.effort().pick(2_000, 10_000);
        let own = Self { timers, ..Self::set_up(course.database()).await? };
        Ok(Ready::of(own.clone(), own))
    }
}

#[async_trait]
impl Contender for Timers {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let due = Utc::now() + chrono::Duration::seconds(5);
        let commands = (0..self.timers).map(|number| {
            let account_id = format!("{}-{number}", slice.number);
            Schedule::once(&OpenAccount { account_id, owner: "Ada".to_owned() }, due)
        });
        self.clockwork.schedules().add_all(commands).await?;
        let before = self.store.head().await?;
        let wanted = before + self.timers as u64;
        tokio::time::sleep((due - Utc::now()).to_std().map_err(|_| "they were due before all were set")?)
            .await;
        let began = Instant::now();
        while self.store.head().await? < wanted {
            if began.elapsed() > PATIENCE {
                return Err("scheduled commands have not been carried out".into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.stored.fetch_add(self.timers, Ordering::Relaxed);
        Ok(vec![Value::new(Metric::Timers, per_second(self.timers, began.elapsed()), "commands/s")])
    }

    fn acknowledged(&self) -> usize {
        self.stored.load(Ordering::Relaxed)
    }
}

impl OnPostgres for Timers {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = log::open(database, Schema::default()).await?;
        let clockwork = Clockwork::builder(store.clone()).start().await?;
        Ok(Self { clockwork, store, timers: 0, stored: Arc::default() })
    }

    async fn close(self) {
        self.clockwork.shutdown().await;
        self.store.pool().close().await;
    }
}
