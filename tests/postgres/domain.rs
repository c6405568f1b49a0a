//! A small bank, and what the tests need of it.

use std::convert::Infallible;
use std::time::Duration;

use cqrs::event::Metadata;
use cqrs::id::{CommandId, CorrelationId, EventId};
use cqrs::postgres::PostgresPool;
use cqrs::postgres::testing::{TestSchema, TestServer};
use cqrs::prelude::*;
use cqrs::store::{Append, EventData, EventStore as _, ExpectedVersion, StreamId};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Paid {
    pub account_id: String,
    pub amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Desk, aggregate = Account, identify_by = account_id)]
pub struct Pay {
    pub account_id: String,
    pub amount: u64,
}

/// Pays out what is there, to the last; refused when it is not.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Desk, aggregate = Account, identify_by = account_id)]
pub struct Draw {
    pub account_id: String,
    pub amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Drawn {
    pub account_id: String,
    pub amount: u64,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Account {
    pub balance: u64,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the balance is {0}")]
pub struct TooLittle(pub u64);

#[aggregate(stream_prefix = "account", error = TooLittle, snapshot_every = 10)]
impl Account {
    #[execute]
    fn pay(&self, command: &Pay) -> Paid {
        Paid { account_id: command.account_id.clone(), amount: command.amount }
    }

    #[execute]
    fn draw(&self, command: &Draw) -> Result<Drawn, TooLittle> {
        if self.balance < command.amount {
            return Err(TooLittle(self.balance));
        }
        Ok(Drawn { account_id: command.account_id.clone(), amount: command.amount })
    }

    #[apply]
    fn paid(&mut self, event: &Paid) {
        self.balance += event.amount;
    }

    #[apply]
    fn drawn(&mut self, event: &Drawn) {
        self.balance -= event.amount;
    }
}

#[derive(Router)]
pub struct Desk;

/// Tells of each payment that it handles, and where.
pub struct Statements {
    pub node: &'static str,
    pub told: mpsc::Sender<(&'static str, u64)>,
}

#[event_handler(name = "statements", interested_in = [Paid], start_from = origin, consistency = strong)]
impl Statements {
    async fn on_paid(&self, _event: &Paid, context: &EventContext) -> Result<(), Infallible> {
        let _ = self.told.send((self.node, context.position())).await;
        Ok(())
    }
}

application! {
    pub struct Bank {
        routers: [Desk],
        event_handlers: [Statements],
    }
}

/// A schema of the shared server, for one test.
pub async fn schema() -> TestSchema {
    TestSchema::new(TestServer::shared().await.unwrap())
}

/// The store of a schema, on connections of its own, as another process would have it.
pub async fn store(schema: &TestSchema) -> PostgresStore {
    let config = PostgresConfig::new(schema.url()).schema(schema.name()).connections(4).user_connections(2);
    PostgresStore::connect(config).await.unwrap()
}

/// Connections for many stores, one after the other.
pub async fn pool() -> PostgresPool {
    let config = PostgresConfig::new(TestServer::shared().await.unwrap().url());
    PostgresPool::connect(config.connections(3).user_connections(4)).await.unwrap()
}

/// A bank, and what its handler tells.
pub async fn bank(store: PostgresStore) -> (Bank, mpsc::Receiver<(&'static str, u64)>) {
    let (told, hear) = mpsc::channel(100_000);
    (Bank::builder(store).event_handler(Statements { node: "only", told }).start().await.unwrap(), hear)
}

pub fn pay(account_id: &str, amount: u64) -> Pay {
    Pay { account_id: account_id.to_owned(), amount }
}

pub fn draw(account_id: &str, amount: u64) -> Draw {
    Draw { account_id: account_id.to_owned(), amount }
}

/// Payments as another program writes them, up to one into each of these accounts; what is there already stays. An
/// amount is the position of its event.
pub async fn pay_past(store: &PostgresStore, accounts: &[&str]) {
    let head = usize::try_from(store.head().await.unwrap()).unwrap();
    for (account, amount) in accounts.iter().zip(1_u64..).skip(head) {
        let event = EventData {
            event_id: EventId::new(),
            event_type: "Paid".into(),
            schema_version: 1,
            data: serde_json::json!({ "account_id": account, "amount": amount }).to_string().into(),
            metadata: Metadata::new(),
            causation_id: CommandId::new().into(),
            correlation_id: CorrelationId::new(),
        };
        let stream = StreamId::new(format!("account-{account}")).unwrap();
        // A payment that was cut off may be under way still.
        let id = CommandId::from_key(&format!("payment {amount}"));
        let append = Append::to_stream(id, stream, ExpectedVersion::Any, vec![event]);
        store.append(append).await.unwrap();
    }
}

/// Whatever waits gives up after this time, which is far longer than it takes.
pub const LIMIT: Duration = Duration::from_secs(60);

/// What `work` gives, which must not take for ever.
pub async fn in_time<F: IntoFuture>(work: F) -> F::Output {
    tokio::time::timeout(LIMIT, work.into_future()).await.expect("it takes far less than the limit")
}
