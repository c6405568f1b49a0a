//! What a dispatch says of its command when the store fails at the worst moment: never less than is true.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use cqrs::command::CommandContext;
use cqrs::id::CommandId;
use cqrs::prelude::*;
use cqrs::store::{
    Append, AppendError, Appended, BindError, Deletion, Direction, EventFilter, EventStore, ExpectedVersion,
    Link, LogPage, RecordedEvent, StoreError, StoreIdentity, StoredState, StreamId, StreamInfo,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "outcomes.Opened")]
pub struct Opened;

#[derive(Router)]
pub struct OutcomeRouter;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "outcomes.Open", router = OutcomeRouter, aggregate = Door, identify_by = id)]
pub struct Open {
    pub id: u64,
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("it is open already")]
pub struct OpenAlready;

#[derive(Default, Clone)]
pub struct Door {
    is_open: bool,
}

#[aggregate(stream_prefix = "outcomes_door", error = OpenAlready)]
impl Door {
    #[execute]
    fn open(&self, _: &Open, _: &CommandContext) -> Result<Opened, OpenAlready> {
        if self.is_open { Err(OpenAlready) } else { Ok(Opened) }
    }

    #[apply]
    fn opened(&mut self, _: &Opened) {
        self.is_open = true;
    }
}

application! {
    pub struct Doors {
        routers: [OutcomeRouter],
    }
}

/// What goes wrong, once each, in this order.
enum Fault {
    /// `outcome` fails.
    Outcome,
    /// `outcome` answers, but its answer arrives after another node has carried the command out.
    OutcomeIsLate(Doors, CommandId),
    /// `append` writes, and then panics.
    AppendPanics,
    /// `read_stream` fails.
    Read,
}

#[derive(Clone, Debug)]
struct Faulty {
    inner: MemoryStore,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Fault")
    }
}

impl Faulty {
    fn new(inner: &MemoryStore) -> Self {
        Self { inner: inner.clone(), faults: Arc::default() }
    }

    fn will(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    fn next_if(&self, fits: impl FnOnce(&Fault) -> bool) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        faults.front().is_some_and(fits).then(|| faults.pop_front())?
    }
}

fn unavailable() -> StoreError {
    StoreError::Unavailable("on purpose".into())
}

#[async_trait]
impl EventStore for Faulty {
    fn identity(&self) -> StoreIdentity {
        EventStore::identity(&self.inner)
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        self.inner.bind(application).await
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let appended = self.inner.append(append).await;
        let fault = self.next_if(|fault| matches!(fault, Fault::AppendPanics));
        assert!(fault.is_none(), "on purpose");
        appended
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        let appended = self.inner.append_all(appends).await;
        let fault = self.next_if(|fault| matches!(fault, Fault::AppendPanics));
        assert!(fault.is_none(), "on purpose");
        appended
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        let outcome = self.inner.outcome(id).await;
        match self.next_if(|fault| matches!(fault, Fault::Outcome | Fault::OutcomeIsLate(..))) {
            Some(Fault::OutcomeIsLate(other, command_id)) => {
                other.dispatch(Open { id: 1 }).command_id(command_id).await.unwrap();
                outcome
            }
            Some(_) => Err(unavailable()),
            None => outcome,
        }
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        match self.next_if(|fault| matches!(fault, Fault::Read)) {
            Some(_) => Err(unavailable()),
            None => self.inner.read_stream(stream_id, from, direction, limit).await,
        }
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        self.inner.read_log(after, filter, limit).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        EventStore::head(&self.inner).await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.inner.watch_head()
    }

    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError> {
        self.inner.stream_info(stream_id).await
    }

    async fn link(&self, link: Link) -> Result<u64, AppendError> {
        self.inner.link(link).await
    }

    async fn delete_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        self.inner.delete_stream(stream_id, expected, deletion).await
    }

    async fn stored_state(&self, stream_id: &StreamId) -> Result<Option<StoredState>, StoreError> {
        self.inner.stored_state(stream_id).await
    }
}

cqrs::testing::delegate_to_store!(Faulty.inner: SnapshotStore, CheckpointStore, LeaseStore);

async fn doors() -> (Faulty, Doors) {
    let store = Faulty::new(&MemoryStore::new());
    let doors = Doors::builder(store.clone()).start().await.unwrap();
    (store, doors)
}

/// The usual way to an unknown outcome is a store that went away, and then it is still away when the command is
/// sent again.
#[tokio::test]
async fn a_repetition_that_cannot_ask_the_store_does_not_claim_that_nothing_was_stored() {
    let (store, doors) = doors().await;
    let command_id = CommandId::new();
    store.will([Fault::AppendPanics, Fault::Outcome]);

    let first = doors.dispatch(Open { id: 1 }).command_id(command_id).await.unwrap_err();
    assert!(first.is_outcome_unknown(), "{first:?}");
    let second = doors.dispatch(Open { id: 1 }).command_id(command_id).await.unwrap_err();
    assert!(second.is_outcome_unknown(), "{second:?}");
    let third = doors.dispatch(Open { id: 1 }).command_id(command_id).await.unwrap();
    assert!(third.is_repeated());
}

#[tokio::test]
async fn a_panic_of_the_store_in_an_append_leaves_the_outcome_unknown() {
    let (store, doors) = doors().await;
    store.will([Fault::AppendPanics]);
    let error = doors.dispatch(Open { id: 1 }).await.unwrap_err();
    assert!(error.is_outcome_unknown(), "{error:?}");
    assert_eq!(doors.aggregate_state::<Door>(1).await.unwrap().version, 1);
}

#[tokio::test]
async fn a_repetition_whose_events_cannot_be_read_back_is_committed() {
    let (store, doors) = doors().await;
    let command_id = CommandId::new();
    doors.dispatch(Open { id: 1 }).command_id(command_id).await.unwrap();
    store.will([Fault::Read]);
    let error = doors.dispatch(Open { id: 1 }).command_id(command_id).await.unwrap_err();
    assert!(error.is_committed(), "{error:?}");
}

/// Two nodes get the same command. This one asks the store before the other one has written, and reads the
/// aggregate after.
#[tokio::test]
async fn a_refusal_that_the_command_itself_caused_on_another_node_is_not_told() {
    let memory = MemoryStore::new();
    let store = Faulty::new(&memory);
    let here = Doors::builder(store.clone()).node("here").start().await.unwrap();
    let there = Doors::builder(memory).node("there").start().await.unwrap();
    let command_id = CommandId::new();
    store.will([Fault::OutcomeIsLate(there, command_id)]);

    let outcome = here.dispatch(Open { id: 1 }).command_id(command_id).await.unwrap();
    assert!(outcome.is_repeated());
    assert_eq!(outcome.events().len(), 1);

    let refused = here.dispatch(Open { id: 1 }).command_id(CommandId::new()).await;
    assert_eq!(refused.unwrap_err().rejection(), Some(&OpenAlready));
}

#[tokio::test]
async fn a_version_that_the_command_itself_led_to_on_another_node_is_not_wrong() {
    let memory = MemoryStore::new();
    let store = Faulty::new(&memory);
    let here = Doors::builder(store.clone()).node("here").start().await.unwrap();
    let there = Doors::builder(memory).node("there").start().await.unwrap();
    let command_id = CommandId::new();
    store.will([Fault::OutcomeIsLate(there, command_id)]);

    let dispatch = here.dispatch(Open { id: 1 }).command_id(command_id);
    assert!(dispatch.expected_version(0).await.unwrap().is_repeated());
}
