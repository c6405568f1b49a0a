//! The bank workload: accounts are opened, then callers deposit and withdraw in turn, each on accounts of its
//! own, round robin, and each sends its next command when the last one is done.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::point::{BoxError, Metric, Value};

/// A bank that the workload is run against.
pub(crate) trait Teller: Clone + Send + Sync + 'static {
    fn open(&self, account_id: String, owner: String) -> impl Future<Output = Result<(), BoxError>> + Send;
    fn deposit(&self, account_id: String, amount: u64) -> impl Future<Output = Result<(), BoxError>> + Send;
    fn withdraw(&self, account_id: String, amount: u64) -> impl Future<Output = Result<(), BoxError>> + Send;
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) callers: usize,
    pub(crate) accounts: usize,
    pub(crate) commands: usize,
}

/// The runtime of all throughput measurements: two workers, whatever the machine has.
pub(crate) fn two_workers() -> Result<Runtime, BoxError> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Opens the accounts, runs the load and gives commands a second and the latencies of single commands.
pub(crate) async fn run<T: Teller>(metric: Metric, teller: T, load: Load) -> Result<Vec<Value>, BoxError> {
    for account in 0..load.accounts {
        teller.open(account_id(account), "Ada".to_owned()).await?;
    }
    let mut callers = JoinSet::new();
    let started = Instant::now();
    for caller in 0..load.callers {
        callers.spawn(call(teller.clone(), load, caller));
    }
    let mut latencies = Vec::with_capacity(load.commands);
    while let Some(done) = callers.join_next().await {
        latencies.extend(done??);
    }
    let took = started.elapsed();
    latencies.sort_unstable();
    let micros = |permille: usize| {
        let latency: Duration = latencies[latencies.len() * permille / 1_000];
        latency.as_secs_f64() * 1e6
    };
    let suffix = match metric {
        Metric::DispatchHot => "-hot",
        Metric::DispatchDistant => "-distant",
        _ => "",
    };
    Ok(vec![
        Value::new(metric, per_second(latencies.len(), took), "commands/s"),
        Value::new(format_args!("latency-p50{suffix}"), micros(500), "us"),
        Value::new(format_args!("latency-p99{suffix}"), micros(990), "us"),
    ])
}

/// What one caller does; gives how long each of its commands took.
async fn call<T: Teller>(teller: T, load: Load, caller: usize) -> Result<Vec<Duration>, BoxError> {
    let commands = load.commands / load.callers;
    let mut latencies = Vec::with_capacity(commands);
    let first = caller % load.accounts;
    let (mut account, mut deposit) = (first, true);
    let mut last = Instant::now();
    for _ in 0..commands {
        if deposit {
            teller.deposit(account_id(account), 2).await?;
        } else {
            teller.withdraw(account_id(account), 1).await?;
        }
        account += load.callers;
        if account >= load.accounts {
            account = first;
            // Each account is paid into before it is drawn from.
            deposit = !deposit;
        }
        let now = Instant::now();
        latencies.push(now - last);
        last = now;
    }
    Ok(latencies)
}

pub(crate) fn account_id(account: usize) -> String {
    format!("a-{account}")
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
pub(crate) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
