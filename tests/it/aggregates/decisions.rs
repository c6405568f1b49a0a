//! The shapes that a decision may have.

use cqrs::aggregate::Execute;
use cqrs::prelude::*;
use cqrs::{Command, MemoryStore};
use serde::{Deserialize, Serialize};

use crate::support::log::{events_of, names_of, sound_log};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "counter.Increased")]
pub struct Increased {
    pub by: i64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "counter.Decreased")]
pub struct Decreased {
    pub by: i64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "counter.Overdrawn")]
pub struct Overdrawn {
    pub by: i64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "counter.Closed")]
pub struct Closed;

macro_rules! commands {
    ($($name:ident),*) => {
        $(
            #[derive(Command, Serialize, Deserialize, Clone, Debug)]
            #[command(router = CounterRouter, aggregate = Counter, identify_by = id)]
            pub struct $name {
                pub id: String,
                pub by: i64,
            }

            impl From<i64> for $name {
                fn from(by: i64) -> Self {
                    let id = "1".to_owned();
                    Self { id, by }
                }
            }
        )*
    };
}

commands!(
    Increase,
    Decrease,
    Close,
    Nothing,
    MaybeIncrease,
    IncreaseTwice,
    IncreaseEach,
    UpAndDown,
    Mixed,
    Transact,
    Nested,
    Steps,
    FailLate,
    Tell
);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CounterError {
    #[error("closed")]
    Closed,
    #[error("not that much")]
    NotThatMuch,
    #[error(transparent)]
    Other(#[from] Other),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("something else")]
pub struct Other;

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    pub value: i64,
    pub is_closed: bool,
}

#[aggregate(stream_prefix = "counter", error = CounterError)]
impl Counter {
    #[before_execute]
    fn must_be_open(&self, context: &CommandContext) -> Result<(), CounterError> {
        let told = context.metadata.get("insist").is_some();
        if self.is_closed && !told { Err(CounterError::Closed) } else { Ok(()) }
    }

    #[execute]
    fn increase(&self, command: &Increase) -> Increased {
        Increased { by: command.by }
    }

    /// Two events of two types: the second only when the first overdraws.
    #[execute]
    fn decrease(&self, command: &Decrease) -> (Decreased, Option<Overdrawn>) {
        let overdrawn = (self.value - command.by < 0).then(|| Overdrawn { by: command.by - self.value });
        (Decreased { by: command.by }, overdrawn)
    }

    #[execute]
    fn close(&self, _command: &Close) -> Result<Closed, CounterError> {
        Ok(Closed)
    }

    #[execute]
    fn nothing(&self, _command: &Nothing) {}

    #[execute]
    fn maybe(&self, command: &MaybeIncrease) -> Option<Increased> {
        (command.by > 0).then_some(Increased { by: command.by })
    }

    #[execute]
    fn twice(&self, command: &IncreaseTwice) -> [Increased; 2] {
        [command.by, command.by + 1].map(|by| Increased { by })
    }

    #[execute]
    fn each(&self, command: &IncreaseEach) -> Result<Vec<Increased>, CounterError> {
        Ok((1..=command.by).map(|by| Increased { by }).collect())
    }

    #[execute]
    fn up_and_down(&self, command: &UpAndDown) -> Result<(Increased, Decreased), CounterError> {
        let by = command.by;
        Ok((Increased { by }, Decreased { by }))
    }

    #[execute]
    fn mixed(&self, command: &Mixed) -> Events<Self> {
        let mut events = Events::new().with(Increased { by: command.by });
        events.push(Closed);
        events
    }

    /// Each step sees what the ones before it did.
    #[execute]
    fn transact(&self, command: &Transact, emitter: &mut Emitter<'_, Self>) -> Result<(), CounterError> {
        emitter.emit(Increased { by: command.by });
        let doubled = emitter.state().value;
        emitter.emit(Increased { by: doubled });
        Ok(())
    }

    #[execute]
    fn nested(&self, command: &Nested) -> Result<Vec<(Increased, Option<Decreased>)>, Other> {
        let pair = |by| (Increased { by }, (by % 2 == 0).then_some(Decreased { by: 1 }));
        if command.by < 0 { Err(Other) } else { Ok((1..=command.by).map(pair).collect()) }
    }

    /// A list that is reduced to running totals, from a state that is kept under a name.
    #[execute]
    fn steps(&self, command: &Steps, emitter: &mut Emitter<'_, Self>) -> Result<(), CounterError> {
        for item in 1..=command.by {
            emitter.step(|state| Increased { by: state.value + item })?;
        }
        let after_items = emitter.state().clone();
        emitter.step(Self::undo)?;
        emitter.step(|_| Increased { by: after_items.value })
    }

    #[execute]
    fn fail_late(&self, command: &FailLate, emitter: &mut Emitter<'_, Self>) -> Result<(), CounterError> {
        emitter.emit(Increased { by: command.by });
        emitter.step(|state| if state.value > 0 { Err(CounterError::NotThatMuch) } else { Ok(()) })
    }

    #[execute]
    fn tell(&self, command: &Tell, context: &CommandContext) -> Increased {
        assert_eq!((context.aggregate_id(), context.stream_id.as_str()), ("1", "counter-1"));
        assert_eq!((context.version, context.attempt), (0, 1));
        Increased { by: command.by }
    }

    #[apply]
    fn increased(&mut self, event: &Increased) {
        self.value += event.by;
    }

    #[apply]
    fn decreased(&mut self, event: &Decreased) {
        self.value -= event.by;
    }

    #[apply]
    fn overdrawn(&mut self, _event: &Overdrawn) {}

    #[apply]
    fn closed(&mut self, _event: &Closed) {
        self.is_closed = true;
    }
}

impl Counter {
    /// A step with steps of its own, whose values nobody outside sees.
    fn undo(&self) -> Decreased {
        Decreased { by: self.value }
    }
}

#[derive(Router)]
pub struct CounterRouter;

application! {
    pub struct Counters {
        routers: [CounterRouter],
    }
}

pub async fn counters(store: MemoryStore) -> Counters {
    Counters::builder(store).start().await.unwrap()
}

/// The command must give these events to a counter that stands at 3, and lead to this value, live and replayed.
async fn check<C>(command: C, events: &[CounterEvent], value: i64)
where
    C: Command<Router = CounterRouter, Aggregate = Counter>,
    Counter: Execute<C>,
{
    let store = MemoryStore::new();
    let counters = counters(store.clone()).await;
    counters.dispatch(Increase::from(3)).await.unwrap();
    let dispatched = counters.dispatch(command).await.unwrap();
    assert_eq!(dispatched.events(), events);
    assert_eq!((dispatched.version(), dispatched.state().value), (1 + events.len() as u64, value));
    let names: Vec<_> = events.iter().map(|event| EventSet::schema(event).name).collect();
    assert_eq!(names_of(&store, "counter-1").await[1..], names);
    sound_log(&store).await;
    counters.shutdown().await;
    let counters = self::counters(store).await;
    let replayed = counters.aggregate_state::<Counter>("1").await.unwrap();
    assert_eq!((replayed.version, &replayed.state), (dispatched.version(), dispatched.state()));
    counters.shutdown().await;
}

fn up(by: i64) -> CounterEvent {
    Increased { by }.into()
}

fn down(by: i64) -> CounterEvent {
    Decreased { by }.into()
}

// E-023, E-024, T-143
#[tokio::test]
async fn e_023_one_event() {
    check(Increase::from(2), &[up(2)], 5).await;
    check(Decrease::from(2), &[down(2)], 1).await;
}

// T-143, T-063, DEF-001
#[tokio::test]
async fn t_143_no_event() {
    check(Nothing::from(0), &[], 3).await;
    check(MaybeIncrease::from(0), &[], 3).await;
    check(IncreaseEach::from(0), &[], 3).await;
    check(Nested::from(0), &[], 3).await;
}

#[tokio::test]
async fn t_143_maybe_one_event() {
    check(MaybeIncrease::from(2), &[up(2)], 5).await;
}

#[tokio::test]
async fn t_143_several_events_of_one_type() {
    check(IncreaseTwice::from(2), &[up(2), up(3)], 8).await;
    check(IncreaseEach::from(3), &[up(1), up(2), up(3)], 9).await;
}

#[tokio::test]
async fn t_143_several_events_of_several_types() {
    check(UpAndDown::from(2), &[up(2), down(2)], 3).await;
    check(Mixed::from(2), &[up(2), Closed.into()], 5).await;
    check(Nested::from(2), &[up(1), up(2), down(1)], 5).await;
}

// W-014
#[tokio::test]
async fn w_014_a_withdrawal_below_zero_is_two_events() {
    check(Decrease::from(5), &[down(5), Overdrawn { by: 2 }.into()], -2).await;
}

#[tokio::test]
async fn t_195_a_later_step_depends_on_the_state_after_an_earlier_one() {
    check(Transact::from(2), &[up(2), up(5)], 10).await;
}

// T-197, T-198, T-199
#[tokio::test]
async fn t_199_steps_are_nested_named_and_reduced() {
    // 3, then +4 = 7, then +9 = 16; undone; and up to the state that was kept.
    check(Steps::from(2), &[up(4), up(9), down(16), up(16)], 16).await;
}

#[tokio::test]
async fn the_aggregate_is_told_about_its_command() {
    let counters = counters(MemoryStore::new()).await;
    counters.dispatch(Tell::from(1)).await.unwrap();
    counters.shutdown().await;
}

// E-029, W-002, W-015
#[tokio::test]
async fn e_029_a_state_is_the_fold_of_its_events() {
    let counters = counters(MemoryStore::new()).await;
    for by in [10, -3, 5] {
        counters.dispatch(Increase::from(by)).await.unwrap();
    }
    assert_eq!(counters.aggregate_state::<Counter>("1").await.unwrap().state.value, 12);
    counters.shutdown().await;
}

// T-146, E-026
#[tokio::test]
async fn t_146_before_execute_refuses_for_all_commands() {
    let store = MemoryStore::new();
    let counters = counters(store.clone()).await;
    counters.dispatch(Close::from(0)).await.unwrap();
    assert_eq!(
        counters.dispatch(Increase::from(1)).await.unwrap_err().rejection(),
        Some(&CounterError::Closed)
    );
    assert_eq!(
        counters.dispatch(Nothing::from(1)).await.unwrap_err().rejection(),
        Some(&CounterError::Closed)
    );
    assert_eq!(sound_log(&store).await.len(), 1);
    // It is told what the command carries.
    counters.dispatch(Increase::from(1)).metadata("insist", true).await.unwrap();
    counters.shutdown().await;
}

#[tokio::test]
async fn a_refusal_after_some_steps_keeps_nothing_of_them() {
    let store = MemoryStore::new();
    let counters = counters(store.clone()).await;
    let error = counters.dispatch(FailLate::from(1)).await.unwrap_err();
    assert_eq!(error.rejection(), Some(&CounterError::NotThatMuch));
    let dispatched = counters.dispatch(Nothing::from(0)).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().value), (0, 0));
    assert!(sound_log(&store).await.is_empty());
    counters.shutdown().await;
}

#[tokio::test]
async fn another_error_becomes_the_aggregates() {
    let counters = counters(MemoryStore::new()).await;
    let error = counters.dispatch(Nested::from(-1)).await.unwrap_err();
    assert_eq!(error.rejection(), Some(&CounterError::Other(Other)));
    counters.shutdown().await;
}

#[tokio::test]
async fn t_150_ten_events_of_one_command_have_versions_one_to_ten() {
    let store = MemoryStore::new();
    let counters = counters(store.clone()).await;
    let dispatched = counters.dispatch(IncreaseEach::from(10)).await.unwrap();
    let events = events_of(&store, "counter-1").await;
    let versions: Vec<_> = events.iter().map(|event| event.stream_version).collect();
    assert_eq!(versions, Vec::from_iter(1..=10));
    assert_eq!((dispatched.version(), dispatched.position()), (10, Some(10)));
    assert!(events.iter().all(|event| event.causation_id == dispatched.command_id().into()));
    counters.shutdown().await;
}

#[tokio::test]
async fn t_151_without_events_there_is_no_stream() {
    use cqrs::store::EventStore as _;
    let store = MemoryStore::new();
    let counters = counters(store.clone()).await;
    counters.dispatch(Nothing::from(0)).await.unwrap();
    assert_eq!(store.stream_info(&crate::support::log::stream("counter-1")).await.unwrap(), None);
    counters.shutdown().await;
}
