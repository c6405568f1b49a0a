//! What a subject on Postgres provides, and how each metric is measured with it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;

use crate::point::{BoxError, Metric, Value};
use crate::postgres::slice::{Answered, Slice};
use crate::postgres::{Call, Calls, Database};
use crate::workload::{Teller, Turn, account_id, open_all, per_second, throughput};

/// A subject that keeps its events in a database of its own.
pub(crate) trait OnPostgres: Clone + Send + Sync + 'static {
    /// Counts the stored events.
    const COUNT: &'static str;

    /// Counts the faults of the log, where the subject promises that there are none.
    const FAULTS: Option<&'static str> = None;

    /// Sets the subject up on an empty database.
    fn set_up(database: &Database) -> impl Future<Output = Result<Self, BoxError>> + Send;

    /// Ends what the subject does by itself, so that it does not disturb those after it.
    fn close(self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// A subject whose accounts can be filled with events.
pub(crate) trait Fill: OnPostgres {
    /// Opens an account and deposits 1 as many times as told, by the quickest way that there is.
    fn fill(&self, account_id: String, deposits: usize) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// A subject that rebuilds the state of an account from its events.
pub(crate) trait Rehydrate: Fill {
    /// Gives the balance.
    fn rehydrate(&self, account_id: String) -> impl Future<Output = Result<u64, BoxError>> + Send;
}

/// A subject with handlers of events.
pub(crate) trait CatchUp: Fill {
    /// Starts a new handler at the beginning of the log; returns when it has seen that many events.
    fn catch_up(&self, handler: String, events: usize) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// A subject that is ready to be measured in one metric.
#[async_trait]
pub(crate) trait Contender: Send + Sync {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError>;

    /// The number of events that the database has to hold.
    fn acknowledged(&self) -> usize;
}

/// Calls in slices of time.
pub(crate) struct Throughput<C> {
    metric: Metric,
    calls: C,
    acknowledged: AtomicUsize,
}

impl<C: Calls> Throughput<C> {
    /// Measures calls for a subject that holds that many events already.
    pub(crate) fn new(metric: Metric, calls: C, stored: usize) -> Self {
        Self { metric, calls, acknowledged: AtomicUsize::new(stored) }
    }
}

#[async_trait]
impl<C: Calls> Contender for Throughput<C> {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let Answered { latencies, events, acknowledged } = slice.run(&self.calls).await?;
        self.acknowledged.fetch_add(acknowledged, Ordering::Relaxed);
        throughput(self.metric, events, &latencies, slice.length)
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }
}

/// Commands for accounts that are open already.
#[derive(Clone)]
pub(crate) struct Banking<T> {
    teller: T,
    accounts: usize,
    hot: bool,
}

impl<T: Teller> Banking<T> {
    /// Opens the accounts. Callers then spread over all of them, or all use a single one if it is `hot`: another
    /// one in each slice, so that no stream grows long.
    pub(crate) async fn open(teller: T, accounts: usize, metric: Metric) -> Result<Self, BoxError> {
        open_all(&teller, accounts).await?;
        Ok(Self { teller, accounts, hot: metric == Metric::DispatchHot })
    }

    /// That many accounts are open; callers spread over all of them.
    pub(crate) fn on(teller: T, accounts: usize) -> Self {
        Self { teller, accounts, hot: false }
    }
}

impl<T: Teller> Calls for Banking<T> {
    async fn call(&self, call: Call) -> Result<usize, BoxError> {
        let turn = match self.hot {
            true => Turn { account: call.slice % self.accounts, deposit: call.turn.is_multiple_of(2) },
            false => Turn::of(call.caller, call.callers, self.accounts, call.turn),
        };
        turn.take(&self.teller).await?;
        Ok(1)
    }
}

/// Loads an account with many events, several times in a slice.
pub(crate) struct Rehydration<T> {
    pub(crate) subject: T,
    pub(crate) events: usize,
}

#[async_trait]
impl<T: Rehydrate> Contender for Rehydration<T> {
    async fn measure(&self, _slice: Slice) -> Result<Vec<Value>, BoxError> {
        const TIMES: usize = 5;
        let mut times = Vec::with_capacity(TIMES);
        for _ in 0..TIMES {
            let started = Instant::now();
            let balance = self.subject.rehydrate(account_id(0)).await?;
            times.push(started.elapsed());
            assert_eq!(balance, self.events as u64 - 1, "all events are replayed");
        }
        times.sort_unstable();
        Ok(vec![Value::new(Metric::Rehydrate, times[TIMES / 2].as_secs_f64() * 1e3, "ms")])
    }

    fn acknowledged(&self) -> usize {
        self.events
    }
}

/// Starts a handler at the beginning of a log, another one in each slice.
pub(crate) struct CatchingUp<T> {
    pub(crate) subject: T,
    pub(crate) events: usize,
}

#[async_trait]
impl<T: CatchUp> Contender for CatchingUp<T> {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let started = Instant::now();
        self.subject.catch_up(format!("counter-{}", slice.number), self.events).await?;
        let rate = per_second(self.events, started.elapsed());
        Ok(vec![Value::new(Metric::CatchUp, rate, "events/s")])
    }

    fn acknowledged(&self) -> usize {
        self.events
    }
}
