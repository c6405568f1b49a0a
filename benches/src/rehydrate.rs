//! Reading a log back: the state of one aggregate, and a handler that comes late.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use cqrs::MemoryStore;
use cqrs::prelude::*;
use tokio::sync::Notify;

use crate::domain::{AccountOpened, Bank, BankAccount, MoneyDeposited, MoneyWithdrawn};
use crate::point::{BoxError, Effort, Metric, Value};
use crate::workload::{Teller as _, account_id, per_second, two_workers};

/// A store with that many events, spread over that many accounts.
async fn filled(events: usize, accounts: usize) -> Result<MemoryStore, BoxError> {
    let store = MemoryStore::new();
    let bank = Bank::builder(store.clone()).start().await?;
    for event in 0..events {
        let account_id = account_id(event % accounts);
        match event / accounts {
            0 => bank.open(account_id, "Ada".to_owned()).await?,
            turn if turn % 2 == 1 => bank.deposit(account_id, 2).await?,
            _ => bank.withdraw(account_id, 1).await?,
        }
    }
    bank.shutdown().await;
    Ok(store)
}

/// How long the state of an aggregate with 10,000 events takes to read and rebuild, without a snapshot: the
/// median of several times in one process.
pub(crate) fn rehydrate() -> Result<Vec<Value>, BoxError> {
    const EVENTS: usize = 10_000;
    const TIMES: usize = 21;
    two_workers()?.block_on(async {
        let bank = Bank::builder(filled(EVENTS, 1).await?).start().await?;
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let started = Instant::now();
            let account = bank.aggregate_state::<BankAccount>(account_id(0)).await?;
            times.push(started.elapsed());
            assert_eq!(account.version, EVENTS as u64, "all events are replayed");
        }
        times.sort_unstable();
        bank.shutdown().await;
        let millis = times[TIMES / 2].as_secs_f64() * 1e3;
        Ok(vec![Value::new(Metric::Rehydrate, millis, "ms")])
    })
}

/// Counts events.
pub(crate) struct Counter {
    seen: Seen,
}

/// How many events were counted, and whether these are as many as there are.
#[derive(Clone)]
pub(crate) struct Seen(Arc<Count>);

struct Count {
    expected: usize,
    missing: AtomicUsize,
    all: Notify,
}

impl Seen {
    /// That many events are to be seen.
    pub(crate) fn missing(expected: usize) -> Self {
        Self(Arc::new(Count { expected, missing: AtomicUsize::new(expected), all: Notify::new() }))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.expected - self.0.missing.load(Ordering::Relaxed)
    }

    /// Waits until all were seen.
    pub(crate) async fn all(&self) {
        self.0.all.notified().await;
    }

    fn one(&self) {
        if self.0.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.all.notify_one();
        }
    }
}

#[event_handler(
    name = "counter",
    interested_in = [AccountOpened, MoneyDeposited, MoneyWithdrawn],
    start_from = origin
)]
impl Counter {
    async fn on_opened(&self, _event: &AccountOpened, _context: &EventContext) -> Result<(), Infallible> {
        self.seen.one();
        Ok(())
    }

    async fn on_deposited(&self, _event: &MoneyDeposited, _context: &EventContext) -> Result<(), Infallible> {
        self.seen.one();
        Ok(())
    }

    async fn on_withdrawn(&self, _event: &MoneyWithdrawn, _context: &EventContext) -> Result<(), Infallible> {
        self.seen.one();
        Ok(())
    }
}

impl Counter {
    pub(crate) fn of(seen: &Seen) -> Self {
        Self { seen: seen.clone() }
    }
}

/// Events a second of a handler that is started when the log is there already.
pub(crate) fn catch_up(effort: Effort) -> Result<Vec<Value>, BoxError> {
    let events = effort.pick(20_000, 50_000);
    two_workers()?.block_on(async {
        let store = filled(events, 1_000).await?;
        let seen = Seen::missing(events);
        let counter = Counter::of(&seen);
        let started = Instant::now();
        let bank = Bank::builder(store).event_handler(counter).start().await?;
        seen.all().await;
        let took = started.elapsed();
        bank.shutdown().await;
        Ok(vec![Value::new(Metric::CatchUp, per_second(events, took), "events/s")])
    })
}
