//! The bank on the crate `cqrs-es`.
//!
//! What a command does there: the aggregate is replayed from clones of all its events (there is no instance
//! in memory), it decides, and its events are kept as they are. There is neither JSON, since the store keeps
//! typed values, nor a check of the expected version, nor ids, nor a log across streams, nor an actor: it does
//! less than ours for each command, and replays more the longer a stream is. Counting stands in a query,
//! which is what it has in place of middleware.
//!
//! Three stores:
//! - `cqrs-es`: [`MemStore`], which it ships. It prints two lines for each command, which go to the null device
//!   here.
//! - `cqrs-es-quiet`: [`QuietStore`], the same without printing.
//! - `cqrs-es-json`: [`PersistedEventStore`], what its database stores are built on, over a map in memory
//!   ([`JsonRepository`]). Events become JSON and the sequence is checked, as with ours: the comparison of like
//!   with like.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use cqrs_es::event_sink::EventSink;
use cqrs_es::mem_store::{MemStore, MemStoreAggregateContext};
use cqrs_es::persist::{
    PersistedEventRepository, PersistedEventStore, PersistenceError, ReplayStream, SerializedEvent,
    SerializedSnapshot,
};
use cqrs_es::{Aggregate, AggregateError, CqrsFramework, DomainEvent, EventEnvelope, EventStore, Query};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::{
    AccountOpened, BankAccount, BankError, Deposit, MoneyDeposited, MoneyWithdrawn, Open, Withdraw,
};
use crate::point::BoxError;
use crate::workload::Teller;

/// The account of the benchmarks as an aggregate of `cqrs-es`: same state, same rules.
#[derive(Default, Debug, Serialize, Deserialize)]
pub(crate) struct Account(pub(crate) BankAccount);

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Open(Open),
    Deposit(Deposit),
    Withdraw(Withdraw),
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Opened(AccountOpened),
    Deposited(MoneyDeposited),
    Withdrawn(MoneyWithdrawn),
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        let name = match self {
            Self::Opened(_) => "AccountOpened",
            Self::Deposited(_) => "MoneyDeposited",
            Self::Withdrawn(_) => "MoneyWithdrawn",
        };
        name.to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = Event;
    type Error = BankError;
    type Services = ();

    async fn handle(&mut self, command: Command, (): &(), sink: &EventSink<Self>) -> Result<(), BankError> {
        let event = match command {
            Command::Open(command) => Event::Opened(self.0.open(&command)?),
            Command::Deposit(command) => Event::Deposited(self.0.deposit(&command)?),
            Command::Withdraw(command) => Event::Withdrawn(self.0.withdraw(&command)?),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Opened(event) => self.0.opened(&event),
            Event::Deposited(event) => self.0.deposited(&event),
            Event::Withdrawn(event) => self.0.withdrawn(&event),
        }
    }
}

/// Counts commands, as the middleware of ours does.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU64);

#[async_trait]
impl Query<Account> for Counting {
    async fn dispatch(&self, _aggregate_id: &str, _events: &[EventEnvelope<Account>]) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Streams = HashMap<String, Vec<EventEnvelope<Account>>>;

/// [`MemStore`] without its printing; it also adds events in place, where [`MemStore`] copies the stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct QuietStore(Arc<RwLock<Streams>>);

impl EventStore<Account> for QuietStore {
    type AC = MemStoreAggregateContext<Account>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<Account>>, AggregateError<BankError>> {
        let streams = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(streams.get(aggregate_id).cloned().unwrap_or_default())
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Self::AC, AggregateError<BankError>> {
        let (mut aggregate, mut current_sequence) = (Account::default(), 0);
        for envelope in self.load_events(aggregate_id).await? {
            current_sequence = envelope.sequence;
            aggregate.apply(envelope.payload);
        }
        Ok(MemStoreAggregateContext { aggregate_id: aggregate_id.to_owned(), aggregate, current_sequence })
    }

    async fn commit(
        &self,
        events: Vec<Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<Account>>, AggregateError<BankError>> {
        let wrap = |(payload, sequence)| EventEnvelope {
            aggregate_id: context.aggregate_id.clone(),
            sequence,
            payload,
            metadata: metadata.clone(),
        };
        let sequences = context.current_sequence + 1..;
        let committed: Vec<_> = events.into_iter().zip(sequences).map(wrap).collect();
        let mut streams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let stream = streams.entry(context.aggregate_id.clone()).or_default();
        stream.extend_from_slice(&committed);
        Ok(committed)
    }
}

/// Events as JSON, by aggregate.
#[derive(Clone, Debug, Default)]
pub(crate) struct JsonRepository(Arc<RwLock<HashMap<String, Vec<SerializedEvent>>>>);

impl PersistedEventRepository for JsonRepository {
    async fn get_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let streams = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(streams.get(aggregate_id).cloned().unwrap_or_default())
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let mut events = self.get_events::<A>(aggregate_id).await?;
        events.retain(|event| event.sequence > last_sequence);
        Ok(events)
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        _aggregate_id: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        Ok(None)
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        _snapshot: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        let Some(first) = events.first() else {
            return Ok(());
        };
        let mut streams = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let stream = streams.entry(first.aggregate_id.clone()).or_default();
        if first.sequence != stream.len() + 1 {
            return Err(PersistenceError::OptimisticLockError);
        }
        stream.extend_from_slice(events);
        Ok(())
    }

    async fn stream_events<A: Aggregate>(&self, _: &str) -> Result<ReplayStream, PersistenceError> {
        Err(not_replayed())
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        Err(not_replayed())
    }
}

fn not_replayed() -> PersistenceError {
    PersistenceError::UnknownError("queries are not replayed here".into())
}

/// A framework over a store; clones lead to the same one.
pub(crate) struct EsBank<S: EventStore<Account>>(Arc<CqrsFramework<Account, S>>);

impl<S: EventStore<Account>> Clone for EsBank<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The bank on the store that the crate ships.
pub(crate) fn printing() -> EsBank<MemStore<Account>> {
    EsBank::on(MemStore::default())
}

/// The bank on that store without its printing.
pub(crate) fn quiet() -> EsBank<QuietStore> {
    EsBank::on(QuietStore::default())
}

/// The bank on JSON in memory.
pub(crate) fn json() -> EsBank<PersistedEventStore<JsonRepository, Account>> {
    EsBank::on(PersistedEventStore::new_event_store(JsonRepository::default()))
}

impl<S: EventStore<Account>> EsBank<S> {
    fn on(store: S) -> Self {
        let queries: Vec<Box<dyn Query<Account>>> = vec![Box::new(Counting::default())];
        Self(Arc::new(CqrsFramework::new(store, queries, ())))
    }
}

impl<S> Teller for EsBank<S>
where
    S: EventStore<Account, AC: Send> + 'static,
{
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        let id = account_id.clone();
        let command = Command::Open(Open { account_id, owner });
        Ok(self.0.execute(&id, command).await?)
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        let id = account_id.clone();
        let command = Command::Deposit(Deposit { account_id, amount });
        Ok(self.0.execute(&id, command).await?)
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        let id = account_id.clone();
        let command = Command::Withdraw(Withdraw { account_id, amount });
        Ok(self.0.execute(&id, command).await?)
    }
}
