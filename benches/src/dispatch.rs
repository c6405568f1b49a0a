//! Commands for many accounts: the whole pipeline from the middleware to the store.

use cqrs::MemoryStore;
use cqrs::store::Store;

use crate::domain::{Bank, Deposit, Open, Withdraw};
use crate::peers::cqrs_es;
use crate::point::{BoxError, Effort, Metric, Point, Subject, Value};
use crate::workload::{Load, Teller, run, two_workers};

impl Teller for Bank {
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        self.dispatch(Open { account_id, owner }).await?;
        Ok(())
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.dispatch(Deposit { account_id, amount }).await?;
        Ok(())
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.dispatch(Withdraw { account_id, amount }).await?;
        Ok(())
    }
}

pub(crate) fn measure(point: Point, effort: Effort) -> Result<Vec<Value>, BoxError> {
    let load = Load {
        callers: point.callers,
        accounts: effort.pick(2_000, 10_000),
        commands: effort.pick(40_000, 200_000),
    };
    two_workers()?.block_on(async {
        match point.subject {
            Subject::CqrsEs => run(point.metric, cqrs_es::printing(), load).await,
            Subject::CqrsEsQuiet => run(point.metric, cqrs_es::quiet(), load).await,
            Subject::CqrsEsJson => run(point.metric, cqrs_es::json(), load).await,
            _ => on_memory(point.metric, load).await,
        }
    })
}

/// A command of ours passes one layer of middleware, is queued at its aggregate's actor, decided on the state
/// in memory, encoded as JSON with ids of its own, and appended at the expected version to a log that keeps
/// the order of all streams.
pub(crate) async fn on_memory(metric: Metric, load: Load) -> Result<Vec<Value>, BoxError> {
    on(MemoryStore::new(), metric, load).await
}

/// The same on any store.
pub(crate) async fn on(store: impl Store, metric: Metric, load: Load) -> Result<Vec<Value>, BoxError> {
    let bank = Bank::builder(store).start().await?;
    let values = run(metric, bank.clone(), load).await?;
    bank.shutdown().await;
    Ok(values)
}
