//! The bank on `cqrs-es` with `postgres-es`: the stream is read for each command, and its events are inserted in
//! a transaction. Conflicts are the caller's to retry. Snapshots are off: an account has some twenty events.
//!
//! There is no order of all events, and no handler that remembers where it is. What stands in for catching up is
//! the replay of all events for a view, by their number within their stream.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cqrs_es::persist::{PersistedEventStore, QueryReplay};
use cqrs_es::{AggregateContext as _, AggregateError, EventEnvelope, EventStore as _, Query};
use postgres_es::{PostgresCqrs, PostgresEventRepository, postgres_cqrs};
use sqlx_0_8::PgPool;

use crate::domain::{AccountOpened, Deposit, MoneyDeposited, Open, Withdraw};
use crate::peers::cqrs_es::{Account, Command, Counting, Event};
use crate::peers::on_postgres::pool::pool;
use crate::peers::on_postgres::retry::retried;
use crate::point::BoxError;
use crate::postgres::{CatchUp, Database, Fill, OnPostgres, Rehydrate};
use crate::workload::Teller;

type Store = PersistedEventStore<PostgresEventRepository, Account>;

/// What `postgres-es` expects to find. Snapshots are off, so that their table is not needed.
const CREATE: &str = r"
CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence >= 0),
    event_type text NOT NULL,
    event_version text NOT NULL,
    payload json NOT NULL,
    metadata json NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)
";

#[derive(Clone)]
pub(crate) struct Bank {
    framework: Arc<PostgresCqrs<Account>>,
    store: Arc<Store>,
    pool: PgPool,
}

impl Bank {
    async fn execute(&self, account_id: &str, command: Command) -> Result<(), BoxError> {
        let execute = || self.framework.execute(account_id, command.clone());
        let is_conflict = |error: &_| matches!(error, AggregateError::AggregateConflict);
        Ok(retried(execute, is_conflict).await?)
    }
}

impl Teller for Bank {
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        self.execute(&account_id.clone(), Command::Open(Open { account_id, owner })).await
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.execute(&account_id.clone(), Command::Deposit(Deposit { account_id, amount })).await
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.execute(&account_id.clone(), Command::Withdraw(Withdraw { account_id, amount })).await
    }
}

impl OnPostgres for Bank {
    const COUNT: &'static str = "SELECT count(*) FROM events";

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let pool = pool(database).await?;
        sqlx_0_8::raw_sql(CREATE).execute(&pool).await?;
        let store = Store::new_event_store(PostgresEventRepository::new(pool.clone()));
        let framework = postgres_cqrs(pool.clone(), vec![Box::new(Counting::default())], ());
        Ok(Self { framework: Arc::new(framework), store: Arc::new(store), pool })
    }
}

impl Fill for Bank {
    async fn fill(&self, account_id: String, deposits: usize) -> Result<(), BoxError> {
        let context = self.store.load_aggregate(&account_id).await?;
        let opened = AccountOpened { account_id: account_id.clone(), owner: "Ada".to_owned() };
        let mut events = vec![Event::Opened(opened)];
        events.resize(deposits + 1, Event::Deposited(MoneyDeposited { account_id, amount: 1 }));
        self.store.commit(events, context, HashMap::new()).await?;
        Ok(())
    }
}

impl Rehydrate for Bank {
    async fn rehydrate(&self, account_id: String) -> Result<u64, BoxError> {
        let mut context = self.store.load_aggregate(&account_id).await?;
        Ok(context.aggregate().0.balance())
    }
}

/// Counts events.
struct Counter(Arc<AtomicUsize>);

#[async_trait]
impl Query<Account> for Counter {
    async fn dispatch(&self, _aggregate_id: &str, events: &[EventEnvelope<Account>]) {
        self.0.fetch_add(events.len(), Ordering::Relaxed);
    }
}

impl CatchUp for Bank {
    async fn catch_up(&self, _handler: String, events: usize) -> Result<(), BoxError> {
        let seen = Arc::new(AtomicUsize::new(0));
        let events_of = PostgresEventRepository::new(self.pool.clone());
        QueryReplay::new(events_of, Counter(Arc::clone(&seen))).replay_all().await?;
        match seen.load(Ordering::Relaxed) {
            seen if seen == events => Ok(()),
            seen => Err(format!("{seen} of {events} events were replayed").into()),
        }
    }
}
