//! The bank on `eventcore` with its Postgres store: the stream is read for each command, and its events are
//! inserted in a transaction that takes an advisory lock for the stream. Conflicts are retried four times by
//! the crate with growing pauses, and again by the caller after that.

use std::convert::Infallible;
use std::sync::Arc;

use eventcore::postgres::PostgresEventStore;
use eventcore::{
    Command, CommandError, CommandLogic, NewEvents, ProjectionConfig, Projector, RetryPolicy, StreamId,
    StreamPosition, collect_events, execute, run_projection,
};
use eventcore_types::EventStore as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::domain::{
    AccountOpened, BankAccount, BankError, Deposit, MoneyDeposited, MoneyWithdrawn, Open, Withdraw,
};
use crate::peers::on_postgres::pool::pool;
use crate::peers::on_postgres::retry::retried;
use crate::point::BoxError;
use crate::postgres::{CatchUp, Database, Fill, OnPostgres, Rehydrate};
use crate::workload::Teller;

/// An event has to know the stream that it belongs to.
#[derive(Serialize, Deserialize, Clone, Debug)]
struct Event {
    stream_id: StreamId,
    happened: Happened,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
enum Happened {
    Opened(AccountOpened),
    Deposited(MoneyDeposited),
    Withdrawn(MoneyWithdrawn),
}

impl eventcore::Event for Event {
    fn stream_id(&self) -> &StreamId {
        &self.stream_id
    }

    fn event_type_name() -> &'static str {
        "AccountEvent"
    }
}

fn apply(mut account: BankAccount, event: &Event) -> BankAccount {
    match &event.happened {
        Happened::Opened(event) => account.opened(event),
        Happened::Deposited(event) => account.deposited(event),
        Happened::Withdrawn(event) => account.withdrawn(event),
    }
    account
}

/// A command of the bank, for its account's stream.
#[derive(Command, Clone, Debug)]
struct Order {
    #[stream]
    stream_id: StreamId,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Open(Open),
    Deposit(Deposit),
    Withdraw(Withdraw),
    DepositOften(Deposit, usize),
}

impl What {
    fn decide(&self, account: &BankAccount) -> Result<Vec<Happened>, BankError> {
        Ok(match self {
            Self::Open(command) => vec![Happened::Opened(account.open(command)?)],
            Self::Deposit(command) => vec![Happened::Deposited(account.deposit(command)?)],
            Self::Withdraw(command) => vec![Happened::Withdrawn(account.withdraw(command)?)],
            Self::DepositOften(command, times) => {
                vec![Happened::Deposited(account.deposit(command)?); *times]
            }
        })
    }
}

impl CommandLogic for Order {
    type Event = Event;
    type State = BankAccount;

    fn apply(&self, account: BankAccount, event: &Event) -> BankAccount {
        apply(account, event)
    }

    fn handle(&self, account: BankAccount) -> Result<NewEvents<Event>, CommandError> {
        let happened = self.what.decide(&account).map_err(CommandError::business_rule_violated)?;
        let event = |happened| Event { stream_id: self.stream_id.clone(), happened };
        Ok(happened.into_iter().map(event).collect::<Vec<_>>().into())
    }
}

#[derive(Clone)]
pub(crate) struct Bank {
    store: PostgresEventStore,
}

impl Bank {
    async fn execute(&self, account_id: &str, what: What) -> Result<(), BoxError> {
        let order = Order { stream_id: stream_id(account_id)?, what };
        let execute = || execute(&self.store, order.clone(), RetryPolicy::new());
        retried(execute, |error| matches!(error, CommandError::ConcurrencyError(_))).await?;
        Ok(())
    }
}

fn stream_id(account_id: &str) -> Result<StreamId, BoxError> {
    Ok(StreamId::try_new(format!("account-{account_id}"))?)
}

impl Teller for Bank {
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        self.execute(&account_id.clone(), What::Open(Open { account_id, owner })).await
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.execute(&account_id.clone(), What::Deposit(Deposit { account_id, amount })).await
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.execute(&account_id.clone(), What::Withdraw(Withdraw { account_id, amount })).await
    }
}

impl OnPostgres for Bank {
    const COUNT: &'static str = "SELECT count(*) FROM eventcore_events";

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = PostgresEventStore::from_pool(pool(database).await?);
        store.migrate().await;
        Ok(Self { store })
    }
}

impl Fill for Bank {
    async fn fill(&self, account_id: String, deposits: usize) -> Result<(), BoxError> {
        self.open(account_id.clone(), "Ada".to_owned()).await?;
        let mut missing = deposits;
        while missing > 0 {
            let next = missing.min(1_000);
            let deposit = Deposit { account_id: account_id.clone(), amount: 1 };
            self.execute(&account_id, What::DepositOften(deposit, next)).await?;
            missing -= next;
        }
        Ok(())
    }
}

impl Rehydrate for Bank {
    async fn rehydrate(&self, account_id: String) -> Result<u64, BoxError> {
        let events = self.store.read_stream::<Event>(stream_id(&account_id)?).await?;
        let account = collect_events(events).await?.iter().fold(BankAccount::default(), apply);
        Ok(account.balance())
    }
}

/// Counts events, and tells when it has seen as many as there are.
struct Counter {
    name: String,
    missing: usize,
    all: Arc<Notify>,
}

impl Projector for Counter {
    type Event = Event;
    type Error = Infallible;
    type Context = ();

    fn apply(&mut self, _event: Event, _position: StreamPosition, (): &mut ()) -> Result<(), Infallible> {
        self.missing -= 1;
        if self.missing == 0 {
            self.all.notify_one();
        }
        Ok(())
    }

    fn name(&self) -> &str {
        &self.name
    }
}

impl CatchUp for Bank {
    async fn catch_up(&self, handler: String, events: usize) -> Result<(), BoxError> {
        let all = Arc::new(Notify::new());
        let counter = Counter { name: handler, missing: events, all: Arc::clone(&all) };
        tokio::select! {
            outcome = run_projection(counter, &self.store, ProjectionConfig::default().continuous()) => {
                outcome?;
                Err("the projection ended".into())
            }
            () = all.notified() => Ok(()),
        }
    }
}
