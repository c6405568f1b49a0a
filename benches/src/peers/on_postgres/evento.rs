//! The bank on `evento` with its Postgres store: what has been added to the stream is read for each command, and
//! its events are inserted in a transaction. The last state stays in memory, as in the example of its manual.
//! Conflicts are the caller's to retry.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use evento::metadata::Event;
use evento::migrator::{Migrate as _, Plan};
use evento::projection::Projection;
use evento::subscription::{Context, SubscriptionBuilder};
use evento::{Executor, Postgres, ProjectionAggregate as _, WriteError};
use tokio::sync::Notify;

use crate::domain::{AccountOpened, BankAccount, Deposit, MoneyDeposited, MoneyWithdrawn, Open, Withdraw};
use crate::peers::on_postgres::retry::retried;
use crate::point::BoxError;
use crate::postgres::{CatchUp, Database, Fill, OnPostgres, Rehydrate};
use crate::workload::Teller;

#[evento::aggregate(name = "account")]
pub(crate) enum Events {
    Opened { owner: String },
    Deposited { amount: u64 },
    Withdrawn { amount: u64 },
}

#[evento::projection(id = id)]
#[evento::snapshot(memory)]
pub(crate) struct Account {
    id: String,
    state: BankAccount,
}

#[evento::handler]
async fn on_opened(event: Event<Opened>, account: &mut Account) -> anyhow::Result<()> {
    account.id = event.aggregate_id.clone();
    let (account_id, owner) = (account.id.clone(), event.data.owner.clone());
    account.state.opened(&AccountOpened { account_id, owner });
    Ok(())
}

#[evento::handler]
async fn on_deposited(event: Event<Deposited>, account: &mut Account) -> anyhow::Result<()> {
    let (account_id, amount) = (account.id.clone(), event.data.amount);
    account.state.deposited(&MoneyDeposited { account_id, amount });
    Ok(())
}

#[evento::handler]
async fn on_withdrawn(event: Event<Withdrawn>, account: &mut Account) -> anyhow::Result<()> {
    let (account_id, amount) = (account.id.clone(), event.data.amount);
    account.state.withdrawn(&MoneyWithdrawn { account_id, amount });
    Ok(())
}

#[derive(Clone)]
pub(crate) struct Bank {
    executor: Postgres,
    /// The states in memory are shared by all databases of a process, so that ids have to differ.
    prefix: String,
}

impl Bank {
    fn id(&self, account_id: &str) -> String {
        format!("{}-{account_id}", self.prefix)
    }

    async fn load(&self, account_id: &str) -> anyhow::Result<Option<Account>> {
        Projection::<_, Account>::new::<Events>()
            .handler(on_opened())
            .handler(on_deposited())
            .handler(on_withdrawn())
            .load(self.id(account_id))
            .execute(&self.executor)
            .await
    }

    async fn loaded(&self, account_id: &str) -> anyhow::Result<Account> {
        self.load(account_id).await?.ok_or_else(|| anyhow::anyhow!("the account is not open"))
    }
}

fn is_conflict(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(WriteError::InvalidOriginalVersion))
}

impl Teller for Bank {
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        let account = self.load(&account_id).await?.unwrap_or_default();
        let command = Open { account_id, owner };
        let AccountOpened { account_id, owner } = account.state.open(&command)?;
        evento::append(self.id(&account_id)).event(&Opened { owner }).commit(&self.executor).await?;
        Ok(())
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        let command = Deposit { account_id, amount };
        let deposit = async || {
            let account = self.loaded(&command.account_id).await?;
            let MoneyDeposited { amount, .. } = account.state.deposit(&command)?;
            account.write()?.event(&Deposited { amount }).commit(&self.executor).await?;
            anyhow::Ok(())
        };
        Ok(retried(deposit, is_conflict).await?)
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        let command = Withdraw { account_id, amount };
        let withdraw = async || {
            let account = self.loaded(&command.account_id).await?;
            let MoneyWithdrawn { amount, .. } = account.state.withdraw(&command)?;
            account.write()?.event(&Withdrawn { amount }).commit(&self.executor).await?;
            anyhow::Ok(())
        };
        Ok(retried(withdraw, is_conflict).await?)
    }
}

impl OnPostgres for Bank {
    const COUNT: &'static str = "SELECT count(*) FROM event";

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let pool = database.pool(16).await?;
        let mut connection = pool.acquire().await?;
        evento::sql_migrator::new::<sqlx::Postgres>()?.run(&mut *connection, &Plan::apply_all()).await?;
        drop(connection);
        Ok(Self { executor: pool.into(), prefix: database.name().to_owned() })
    }
}

impl Fill for Bank {
    async fn fill(&self, account_id: String, deposits: usize) -> Result<(), BoxError> {
        let mut stream = evento::append(self.id(&account_id));
        stream.event(&Opened { owner: "Ada".to_owned() });
        for _ in 0..deposits {
            stream.event(&Deposited { amount: 1 });
        }
        stream.commit(&self.executor).await?;
        Ok(())
    }
}

impl Rehydrate for Bank {
    async fn rehydrate(&self, account_id: String) -> Result<u64, BoxError> {
        Account::snapshot_rows().write().map_err(|_| "the states in memory are broken")?.clear();
        Ok(self.loaded(&account_id).await?.state.balance())
    }
}

/// Counts events, and tells when it has seen as many as there are.
#[derive(Clone)]
struct Counter {
    missing: Arc<AtomicUsize>,
    all: Arc<Notify>,
}

impl Counter {
    fn count(&self) {
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.all.notify_one();
        }
    }
}

#[evento::subscription]
async fn count_opened<E: Executor>(context: &Context<'_, E>, _event: Event<Opened>) -> anyhow::Result<()> {
    context.extract::<Counter>().count();
    Ok(())
}

#[evento::subscription]
async fn count_deposited<E: Executor>(
    context: &Context<'_, E>,
    _event: Event<Deposited>,
) -> anyhow::Result<()> {
    context.extract::<Counter>().count();
    Ok(())
}

impl CatchUp for Bank {
    async fn catch_up(&self, handler: String, events: usize) -> Result<(), BoxError> {
        let all = Arc::new(Notify::new());
        let counter = Counter { missing: Arc::new(AtomicUsize::new(events)), all: Arc::clone(&all) };
        let subscription = SubscriptionBuilder::new(handler)
            .handler(count_opened())
            .handler(count_deposited())
            .data(counter)
            .start(&self.executor)
            .await?;
        all.notified().await;
        subscription.shutdown().await?;
        Ok(())
    }
}
