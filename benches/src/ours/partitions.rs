//! What partitions bring to a handler that waits for something with each event.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cqrs::event::EventContext;
use cqrs::handler::EventHandler;
use cqrs::postgres::{PostgresStore, Schema};

use crate::domain::{self, MoneyDeposited};
use crate::ours::fill::fill;
use crate::ours::log::{self, COUNT, FAULTS};
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::workload::{account_id, per_second};

/// How many events an account has beside the first one.
const EACH: usize = 10;

/// How long the handler waits with each event.
const WAIT: Duration = Duration::from_millis(1);

const PATIENCE: Duration = Duration::from_secs(120);

/// Waits, and checks the order of each account.
struct Waiting<const PARTITIONS: u16> {
    versions: Mutex<HashMap<String, u64>>,
    handled: Arc<AtomicUsize>,
    is_out_of_order: Arc<AtomicBool>,
}

impl<const PARTITIONS: u16> EventHandler for Waiting<PARTITIONS> {
    const NAME: &'static str = "waiting";
    const PARTITIONS: u16 = PARTITIONS;
    type Event = MoneyDeposited;
    type State = ();
    type Error = std::convert::Infallible;

    async fn handle(
        &self,
        event: MoneyDeposited,
        _: &mut (),
        context: &EventContext,
    ) -> Result<(), Self::Error> {
        let version = context.stream_version();
        let earlier = {
            let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
            versions.insert(event.account_id, version)
        };
        if earlier.is_some_and(|earlier| earlier >= version) {
            self.is_out_of_order.store(true, Ordering::Relaxed);
        }
        tokio::time::sleep(WAIT).await;
        self.handled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[derive(Clone)]
pub(super) struct Partitions {
    store: PostgresStore,
    events: usize,
}

impl Partitions {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let events = course.effort().pick(2_000, 8_000);
        let own = Self { events, ..Self::set_up(course.database()).await? };
        for account in 0..events / EACH {
            fill(&own.store, account_id(account), EACH).await?;
        }
        Ok(Ready::of(own.clone(), own))
    }

    /// The rate of a handler that begins at the first event.
    async fn rate<const PARTITIONS: u16>(&self, slice: Slice) -> Result<f64, BoxError> {
        let (handled, is_out_of_order) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let handler = Waiting::<PARTITIONS> {
            versions: Mutex::default(),
            handled: Arc::clone(&handled),
            is_out_of_order: Arc::clone(&is_out_of_order),
        };
        let name = format!("waiting-{PARTITIONS}-{}", slice.number);
        let bank = domain::Bank::builder(self.store.clone()).event_handler_as(&name, handler);
        let began = Instant::now();
        let bank = bank.start().await?;
        while handled.load(Ordering::Relaxed) < self.events {
            if began.elapsed() > PATIENCE {
                return Err(format!("{name} has missed some of {} events", self.events).into());
            }
            tokio::time::sleep(WAIT).await;
        }
        let took = began.elapsed();
        bank.shutdown().await;
        match is_out_of_order.load(Ordering::Relaxed) {
            true => Err(format!("{name} has handled events of an account out of order").into()),
            false => Ok(per_second(self.events, took)),
        }
    }
}

#[async_trait]
impl Contender for Partitions {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let serial = self.rate::<1>(slice).await?;
        let divided = self.rate::<16>(slice).await?;
        Ok(vec![
            Value::new("partitions-1", serial, "events/s"),
            Value::new("partitions-16", divided, "events/s"),
            Value::new(Metric::Partitions, divided / serial, "x"),
        ])
    }

    fn acknowledged(&self) -> usize {
        self.events / EACH * (EACH + 1)
    }
}

impl OnPostgres for Partitions {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        Ok(Self { store: log::open(database, Schema::default()).await?, events: 0 })
    }

    async fn close(self) {
        self.store.pool().close().await;
    }
}
