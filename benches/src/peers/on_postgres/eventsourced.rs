//! The bank on `eventsourced` with `eventsourced-postgres`: an entity is a task with its state, and inserts one
//! event for each command in a transaction of its own. Whoever uses it starts each entity and keeps the
//! reference, here in a map.
//!
//! Its pool is its own, of 10 connections. Events have a number within their entity only, so that there is no
//! order of all events to catch up with.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError, RwLock};

use eventsourced::binarize::serde_json::SerdeJsonBinarize;
use eventsourced::snapshot_store::noop::NoopSnapshotStore;
use eventsourced::{Command, CommandEffect, EntityRef, EventSourced, EventSourcedExt as _};
use eventsourced_postgres::{PostgresEventLog, PostgresEventLogConfig};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{
    AccountOpened, BankAccount, BankError, Deposit, MoneyDeposited, MoneyWithdrawn, Open, Withdraw,
};
use crate::point::BoxError;
use crate::postgres::{Database, Fill, OnPostgres, Rehydrate};
use crate::workload::Teller;

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct Account(BankAccount);

#[derive(Serialize, Deserialize, Debug)]
enum Event {
    Opened(AccountOpened),
    Deposited(MoneyDeposited),
    Withdrawn(MoneyWithdrawn),
}

impl EventSourced for Account {
    type Id = Uuid;
    type Event = Event;
    const TYPE_NAME: &'static str = "account";

    fn handle_event(mut self, event: Event) -> Self {
        match event {
            Event::Opened(event) => self.0.opened(&event),
            Event::Deposited(event) => self.0.deposited(&event),
            Event::Withdrawn(event) => self.0.withdrawn(&event),
        }
        self
    }
}

type Effect = CommandEffect<Account, (), BankError>;

fn effect(decided: Result<Event, BankError>) -> Effect {
    match decided {
        Ok(event) => CommandEffect::emit(event),
        Err(refusal) => CommandEffect::reject(refusal),
    }
}

impl Command<Account> for Open {
    type Reply = ();
    type Error = BankError;

    fn handle_command(self, _id: &Uuid, account: &Account) -> Effect {
        effect(account.0.open(&self).map(Event::Opened))
    }
}

impl Command<Account> for Deposit {
    type Reply = ();
    type Error = BankError;

    fn handle_command(self, _id: &Uuid, account: &Account) -> Effect {
        effect(account.0.deposit(&self).map(Event::Deposited))
    }
}

impl Command<Account> for Withdraw {
    type Reply = ();
    type Error = BankError;

    fn handle_command(self, _id: &Uuid, account: &Account) -> Effect {
        effect(account.0.withdraw(&self).map(Event::Withdrawn))
    }
}

#[derive(Debug)]
struct Balance;

impl Command<Account> for Balance {
    type Reply = u64;
    type Error = BankError;

    fn handle_command(self, _id: &Uuid, account: &Account) -> CommandEffect<Account, u64, BankError> {
        CommandEffect::reply(account.0.balance())
    }
}

#[derive(Clone)]
pub(crate) struct Bank {
    log: PostgresEventLog<Uuid>,
    entities: Arc<RwLock<HashMap<String, EntityRef<Account>>>>,
}

impl Bank {
    async fn spawn(&self, account_id: &str) -> Result<EntityRef<Account>, BoxError> {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, account_id.as_bytes());
        let snapshots = NoopSnapshotStore::new();
        let buffer = NonZeroUsize::new(64).ok_or("a buffer holds something")?;
        let account = Account::default().entity();
        Ok(account.spawn(id, None, buffer, self.log.clone(), snapshots, SerdeJsonBinarize).await?)
    }

    async fn handle<C>(&self, account_id: &str, command: C) -> Result<(), BoxError>
    where
        C: Command<Account, Reply = (), Error = BankError>,
    {
        let entity = self.entity(account_id).ok_or("the entity has not been started")?;
        entity.handle_command(command).await??;
        Ok(())
    }

    fn entity(&self, account_id: &str) -> Option<EntityRef<Account>> {
        self.entities.read().unwrap_or_else(PoisonError::into_inner).get(account_id).cloned()
    }
}

impl Teller for Bank {
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        let entity = self.spawn(&account_id).await?;
        self.entities.write().unwrap_or_else(PoisonError::into_inner).insert(account_id.clone(), entity);
        self.handle(&account_id.clone(), Open { account_id, owner }).await
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.handle(&account_id.clone(), Deposit { account_id, amount }).await
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.handle(&account_id.clone(), Withdraw { account_id, amount }).await
    }
}

impl OnPostgres for Bank {
    const COUNT: &'static str = "SELECT count(*) FROM events";

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let url = database.url();
        let config = PostgresEventLogConfig {
            host: url.host_str().unwrap_or("localhost").to_owned(),
            port: url.port().unwrap_or(5432),
            user: url.username().to_owned(),
            // An empty one cannot be told; a server that trusts does not ask.
            password: url.password().unwrap_or("''").to_owned(),
            dbname: database.name().to_owned(),
            setup: true,
            ..PostgresEventLogConfig::default()
        };
        Ok(Self { log: PostgresEventLog::new(config).await?, entities: Arc::default() })
    }
}

impl Fill for Bank {
    async fn fill(&self, account_id: String, deposits: usize) -> Result<(), BoxError> {
        self.open(account_id.clone(), "Ada".to_owned()).await?;
        for _ in 0..deposits {
            self.deposit(account_id.clone(), 1).await?;
        }
        Ok(())
    }
}

impl Rehydrate for Bank {
    /// Starts the entity once more. The balance is asked for along with it, which takes microseconds.
    async fn rehydrate(&self, account_id: String) -> Result<u64, BoxError> {
        Ok(self.spawn(&account_id).await?.handle_command(Balance).await??)
    }
}
