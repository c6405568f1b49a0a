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
    throughput(metric, latencies.len(), &latencies, took)
}

/// Opens the accounts, several at a time.
pub(crate) async fn open_all<T: Teller>(teller: &T, accounts: usize) -> Result<(), BoxError> {
    const AT_A_TIME: usize = 64;
    let mut openers = JoinSet::new();
    for opener in 0..AT_A_TIME {
        let teller = teller.clone();
        openers.spawn(async move {
            for account in (opener..accounts).step_by(AT_A_TIME) {
                teller.open(account_id(account), "Ada".to_owned()).await?;
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(opened) = openers.join_next().await {
        opened??;
    }
    Ok(())
}

/// The rate and the latencies of what was done in a time; `latencies` are sorted.
pub(crate) fn throughput(
    metric: Metric,
    count: usize,
    latencies: &[Duration],
    took: Duration,
) -> Result<Vec<Value>, BoxError> {
    let (suffix, unit) = match metric {
        Metric::DispatchHot => ("-hot", "commands/s"),
        Metric::Append => ("-append", "events/s"),
        _ => ("", "commands/s"),
    };
    let micros = |permille: usize| {
        let latency =
            latencies.get(latencies.len() * permille / 1_000).ok_or("nothing was answered in time")?;
        Ok::<_, BoxError>(latency.as_secs_f64() * 1e6)
    };
    Ok(vec![
        Value::new(metric, per_second(count, took), unit),
        Value::new(format_args!("latency-p50{suffix}"), micros(500)?, "us"),
        Value::new(format_args!("latency-p99{suffix}"), micros(990)?, "us"),
    ])
}

/// One command of a caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) account: usize,
    /// Whether the account is paid into, otherwise it is drawn from.
    pub(crate) deposit: bool,
}

impl Turn {
    /// The turn of that number. Each account is paid into before it is drawn from.
    pub(crate) fn of(caller: usize, callers: usize, accounts: usize, turn: usize) -> Self {
        let first = caller % accounts;
        let own = (accounts - first).div_ceil(callers);
        Self { account: first + turn % own * callers, deposit: (turn / own).is_multiple_of(2) }
    }

    pub(crate) async fn take<T: Teller>(self, teller: &T) -> Result<(), BoxError> {
        match self.deposit {
            true => teller.deposit(account_id(self.account), 2).await,
            false => teller.withdraw(account_id(self.account), 1).await,
        }
    }
}

/// What one caller does; gives how long each of its commands took.
async fn call<T: Teller>(teller: T, load: Load, caller: usize) -> Result<Vec<Duration>, BoxError> {
    let commands = load.commands / load.callers;
    let mut latencies = Vec::with_capacity(commands);
    let mut last = Instant::now();
    for turn in 0..commands {
        Turn::of(caller, load.callers, load.accounts, turn).take(&teller).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_take_turns_on_accounts_of_their_own() {
        let turns = |caller, count| {
            let turn = |turn| Turn::of(caller, 2, 5, turn);
            (0..count).map(turn).map(|turn| (turn.account, turn.deposit)).collect::<Vec<_>>()
        };
        assert_eq!(turns(0, 6), [(0, true), (2, true), (4, true), (0, false), (2, false), (4, false)]);
        assert_eq!(turns(1, 5), [(1, true), (3, true), (1, false), (3, false), (1, true)]);
    }

    #[test]
    fn more_callers_than_accounts_share_them() {
        let account = |caller| Turn::of(caller, 8, 3, 7).account;
        assert_eq!([0, 1, 2, 3, 4].map(account), [0, 1, 2, 0, 1]);
    }
}
