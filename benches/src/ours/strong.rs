//! What a lone caller waits for who wants an event to be handled: by nobody, by a handler, by a projection.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cqrs::dispatch::Consistency;
use cqrs::postgres::{PostgresRows, PostgresStore, Schema};
use cqrs::prelude::*;

use crate::domain::{Bank, Deposit, MoneyDeposited, Open};
use crate::ours::balances::OneByOne;
use crate::ours::log::{self, COUNT, FAULTS};
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::workload::account_id;

/// How long the rows of a command may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does nothing.
struct Idle;

#[event_handler(name = "idle", interested_in = [MoneyDeposited])]
impl Idle {
    fn on_deposited(&self, _event: &MoneyDeposited) -> Result<(), Infallible> {
        Ok(())
    }
}

#[derive(Clone)]
pub(super) struct Strongly {
    bank: Bank,
    store: PostgresStore,
    commands: usize,
    stored: Arc<AtomicUsize>,
}

impl Strongly {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let commands = course.effort().pick(500, 2_000);
        let own = Self { commands, ..Self::set_up(course.database()).await? };
        own.bank.dispatch(Open { account_id: account_id(0), owner: "Ada".to_owned() }).await?;
        own.stored.store(1, Ordering::Relaxed);
        Ok(Ready::of(own.clone(), own))
    }

    async fn dispatch(&self, consistency: Consistency) -> Result<Duration, BoxError> {
        let began = Instant::now();
        let deposit = Deposit { account_id: account_id(0), amount: 1 };
        let dispatched = self.bank.dispatch(deposit).consistency(consistency).await?;
        let took = began.elapsed();
        self.stored.fetch_add(1, Ordering::Relaxed);
        // Nothing is under way when the next one begins.
        let rows = self.bank.projection::<OneByOne>().ok_or("there is no projection")?;
        rows.at_least(dispatched.position().unwrap_or(0), PATIENCE).await?;
        Ok(took)
    }
}

#[async_trait]
impl Contender for Strongly {
    async fn measure(&self, _slice: Slice) -> Result<Vec<Value>, BoxError> {
        let ways = [
            Eventual,
            Consistency::Handlers(vec!["idle".into()]),
            Consistency::Handlers(vec!["one_by_one".into()]),
        ];
        let mut took: [Vec<Duration>; 3] = Default::default();
        // In turn, so that what the machine does meanwhile falls on all of them.
        for _ in 0..self.commands {
            for (way, took) in ways.iter().zip(&mut took) {
                took.push(self.dispatch(way.clone()).await?);
            }
        }
        let [plain, handler, projection] = took.map(median);
        Ok(vec![
            Value::new("plain-p50", plain * 1e6, "us"),
            Value::new(Metric::Strong, handler / plain, "x"),
            Value::new("strong-projection", projection / plain, "x"),
        ])
    }

    fn acknowledged(&self) -> usize {
        self.stored.load(Ordering::Relaxed)
    }
}

/// In seconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

impl OnPostgres for Strongly {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = log::open(database, Schema::default()).await?;
        let rows = PostgresRows::beside(&store);
        let bank =
            Bank::builder(store.clone()).event_handler(Idle).projection(OneByOne(rows)).start().await?;
        Ok(Self { bank, store, commands: 0, stored: Arc::default() })
    }

    async fn close(self) {
        self.bank.shutdown().await;
        self.store.pool().close().await;
    }
}
