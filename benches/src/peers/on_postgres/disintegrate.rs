//! The bank on `disintegrate` with `disintegrate-postgres`: the events of an account are read for each decision,
//! and appended in a serializable transaction that looks for newer ones. Conflicts are the caller's to retry,
//! those between different accounts included.
//!
//! One of its functions has a hexadecimal literal, which Postgres reads from version 16 on. It is replaced by
//! the decimal one where it is not read.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use disintegrate::serde::json::Json;
use disintegrate::{
    Decision, DecisionError, EventListener, EventSourcedStateStore, EventStore as _, LoadState as _,
    NoSnapshot, PersistedEvent, StateMutate, StateQuery, StreamQuery, query,
};
use disintegrate_postgres::{
    Error, PgDecisionMaker, PgEventId, PgEventListener, PgEventListenerConfig, PgEventStore, decision_maker,
};
use serde::{Deserialize, Serialize};
use sqlx_0_8::postgres::PgConnectOptions;
use tokio::sync::Notify;

use crate::domain::{
    AccountOpened, BankAccount, BankError, Deposit, MoneyDeposited, MoneyWithdrawn, Open, Withdraw,
};
use crate::peers::on_postgres::pool::pool_with;
use crate::peers::on_postgres::retry::retried;
use crate::point::BoxError;
use crate::postgres::{CatchUp, Database, Fill, OnPostgres, Rehydrate};
use crate::workload::Teller;

#[derive(disintegrate::Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[stream(AccountEvent, [Opened, Deposited, Withdrawn])]
pub(crate) enum Event {
    Opened {
        #[id]
        account_id: String,
        owner: String,
    },
    Deposited {
        #[id]
        account_id: String,
        amount: u64,
    },
    Withdrawn {
        #[id]
        account_id: String,
        amount: u64,
    },
}

#[derive(StateQuery, Default, Serialize, Deserialize, Clone, Debug)]
#[state_query(AccountEvent)]
pub(crate) struct Account {
    #[id]
    account_id: String,
    state: BankAccount,
}

impl Account {
    fn new(account_id: &str) -> Self {
        Self { account_id: account_id.to_owned(), state: BankAccount::default() }
    }
}

impl StateMutate for Account {
    fn mutate(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::Opened { account_id, owner } => {
                self.state.opened(&AccountOpened { account_id, owner });
            }
            AccountEvent::Deposited { account_id, amount } => {
                self.state.deposited(&MoneyDeposited { account_id, amount });
            }
            AccountEvent::Withdrawn { account_id, amount } => {
                self.state.withdrawn(&MoneyWithdrawn { account_id, amount });
            }
        }
    }
}

impl Decision for Open {
    type Event = Event;
    type StateQuery = Account;
    type Error = BankError;

    fn state_query(&self) -> Account {
        Account::new(&self.account_id)
    }

    fn process(&self, account: &Account) -> Result<Vec<Event>, BankError> {
        let AccountOpened { account_id, owner } = account.state.open(self)?;
        Ok(vec![Event::Opened { account_id, owner }])
    }
}

impl Decision for Deposit {
    type Event = Event;
    type StateQuery = Account;
    type Error = BankError;

    fn state_query(&self) -> Account {
        Account::new(&self.account_id)
    }

    fn process(&self, account: &Account) -> Result<Vec<Event>, BankError> {
        let MoneyDeposited { account_id, amount } = account.state.deposit(self)?;
        Ok(vec![Event::Deposited { account_id, amount }])
    }
}

impl Decision for Withdraw {
    type Event = Event;
    type StateQuery = Account;
    type Error = BankError;

    fn state_query(&self) -> Account {
        Account::new(&self.account_id)
    }

    fn process(&self, account: &Account) -> Result<Vec<Event>, BankError> {
        let MoneyWithdrawn { account_id, amount } = account.state.withdraw(self)?;
        Ok(vec![Event::Withdrawn { account_id, amount }])
    }
}

type Store = PgEventStore<Event, Json<Event>>;

#[derive(Clone)]
pub(crate) struct Bank {
    store: Store,
    decisions: Arc<PgDecisionMaker<Event, Json<Event>, NoSnapshot>>,
}

impl Bank {
    async fn make<D>(&self, decision: D) -> Result<(), BoxError>
    where
        D: Decision<Event = Event, StateQuery = Account, Error = BankError> + Clone,
    {
        retried(|| self.decisions.make(decision.clone()), is_conflict).await?;
        Ok(())
    }
}

/// A conflict that the database notices before the commit comes as an error of the database.
fn is_conflict(error: &DecisionError<BankError>) -> bool {
    let DecisionError::StateStore(error) = error else {
        return false;
    };
    match error.downcast_ref::<Error>() {
        Some(Error::Concurrency) => true,
        Some(Error::Database(sqlx_0_8::Error::Database(error))) => error.code().as_deref() == Some("40001"),
        _ => false,
    }
}

impl Teller for Bank {
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        self.make(Open { account_id, owner }).await
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.make(Deposit { account_id, amount }).await
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.make(Withdraw { account_id, amount }).await
    }
}

/// The definition of the function with the literal, without it.
const WITHOUT_HEXADECIMAL: &str = r"
SELECT replace(pg_get_functiondef('event_store_begin_epoch'::regproc), '0xFFFFFFFF', '4294967295')
";

impl OnPostgres for Bank {
    const COUNT: &'static str = "SELECT count(*) FROM event";

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let options: PgConnectOptions = database.url().as_str().parse()?;
        // The function is not read before it is called.
        let pool = pool_with(options.options([("check_function_bodies", "off")])).await?;
        let store = Store::try_new(pool.clone(), Json::default()).await?;
        let definition: String = sqlx_0_8::query_scalar(WITHOUT_HEXADECIMAL).fetch_one(&pool).await?;
        sqlx_0_8::raw_sql(&definition).execute(&pool).await?;
        let decisions = Arc::new(decision_maker(store.clone(), NoSnapshot));
        Ok(Self { store, decisions })
    }
}

impl Fill for Bank {
    async fn fill(&self, account_id: String, deposits: usize) -> Result<(), BoxError> {
        self.open(account_id.clone(), "Ada".to_owned()).await?;
        let mut missing = deposits;
        while missing > 0 {
            let next = missing.min(1_000);
            let event = Event::Deposited { account_id: account_id.clone(), amount: 1 };
            self.store.append_without_validation(vec![event; next]).await?;
            missing -= next;
        }
        Ok(())
    }
}

impl Rehydrate for Bank {
    async fn rehydrate(&self, account_id: String) -> Result<u64, BoxError> {
        let states = EventSourcedStateStore::new(self.store.clone(), NoSnapshot);
        let loaded = states.load(Account::new(&account_id)).await?;
        Ok(loaded.state().state.balance())
    }
}

/// Counts events, and tells when it has seen as many as there are.
struct Counter {
    name: &'static str,
    query: StreamQuery<PgEventId, Event>,
    missing: Arc<AtomicUsize>,
    all: Arc<Notify>,
}

#[async_trait]
impl EventListener<PgEventId, Event> for Counter {
    type Error = Infallible;

    fn id(&self) -> &'static str {
        self.name
    }

    fn query(&self) -> &StreamQuery<PgEventId, Event> {
        &self.query
    }

    async fn handle(&self, _event: PersistedEvent<PgEventId, Event>) -> Result<(), Infallible> {
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.all.notify_one();
        }
        Ok(())
    }
}

impl CatchUp for Bank {
    async fn catch_up(&self, handler: String, events: usize) -> Result<(), BoxError> {
        let all = Arc::new(Notify::new());
        let counter = Counter {
            name: handler.leak(),
            query: query!(Event),
            missing: Arc::new(AtomicUsize::new(events)),
            all: Arc::clone(&all),
        };
        let config = PgEventListenerConfig::poller(Duration::from_secs(1)).with_notifier();
        let listener = PgEventListener::builder(self.store.clone()).register_listener(counter, config);
        listener.start_with_shutdown(async move { all.notified().await }).await?;
        Ok(())
    }
}
