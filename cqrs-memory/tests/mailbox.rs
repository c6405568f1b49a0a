//! The bounded mailbox of an aggregate: whoever waits for room gets it in the end.

use std::convert::Infallible;
use std::fmt;

use cqrs_core::aggregate::{Aggregate, AggregateLifespan, AggregateSettings, Emitter, Execute, Lifespan};
use cqrs_core::application::{Application, Config, Running};
use cqrs_core::command::{Command, CommandContext, CommandHandler};
use cqrs_core::event::{Event, EventSchema, event_set_of_one};
use cqrs_core::router::Router;
use cqrs_memory::MemoryStore;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Counted;

impl Event for Counted {
    const SCHEMA: &'static EventSchema = &EventSchema::new("Counted", 1);
}
event_set_of_one!(Counted);

/// With room for one command; `STOPS` says whether it leaves memory whenever it has nothing to do.
#[derive(Default, Clone)]
struct Counter<const STOPS: bool>;

impl<const STOPS: bool> Aggregate for Counter<STOPS> {
    type Event = Counted;
    type Error = Infallible;
    const NAME: &'static str = "Counter";
    const STREAM_PREFIX: &'static str = if STOPS { "stopping" } else { "counter" };

    fn apply(&mut self, _: &Counted) {}

    fn settings() -> AggregateSettings<Self> {
        AggregateSettings::new().mailbox(1).lifespan::<Self>()
    }
}

impl<const STOPS: bool> AggregateLifespan<Self> for Counter<STOPS> {
    fn after_event(_: &Counted) -> Lifespan {
        match STOPS {
            true => Lifespan::Stop,
            false => Lifespan::Forever,
        }
    }
}

struct CounterRouter;

impl Router for CounterRouter {
    const NAME: &'static str = "CounterRouter";
    type Includes = ();
}

#[derive(Serialize, Deserialize)]
struct Count<const STOPS: bool>(usize);

impl<const STOPS: bool> Command for Count<STOPS> {
    type Router = CounterRouter;
    type Aggregate = Counter<STOPS>;
    type Handler = Considering;
    const NAME: &'static str = if STOPS { "CountAndStop" } else { "Count" };

    fn identity(&self) -> impl fmt::Display {
        self.0
    }
}

cqrs_core::register_command!(Count<true>);
cqrs_core::register_command!(Count<false>);

/// Lets the aggregate decide, but not at once: commands that never wait are done where they are dispatched, and
/// nobody would ever wait for room.
#[derive(Default)]
struct Considering;

impl<const STOPS: bool> CommandHandler<Count<STOPS>> for Considering {
    async fn handle(
        &self,
        state: &Counter<STOPS>,
        command: &Count<STOPS>,
        emitter: &mut Emitter<'_, Counter<STOPS>>,
        context: &CommandContext,
    ) -> Result<(), Infallible> {
        tokio::task::yield_now().await;
        state.execute(command, emitter, context)
    }
}

impl<const STOPS: bool> Execute<Count<STOPS>> for Counter<STOPS> {
    fn execute(
        &self,
        _: &Count<STOPS>,
        emitter: &mut Emitter<'_, Self>,
        _: &CommandContext,
    ) -> Result<(), Infallible> {
        emitter.emit(Counted);
        Ok(())
    }
}

#[derive(Clone)]
struct Counters(Running<Counters>);

impl std::ops::Deref for Counters {
    type Target = Running<Counters>;

    fn deref(&self) -> &Running<Counters> {
        &self.0
    }
}

impl Application for Counters {
    const NAME: &'static str = "Counters";
    type Routers = (CounterRouter, ());

    fn from_running(running: Running<Self>) -> Self {
        Self(running)
    }
}

async fn start(config: Config) -> Counters {
    let counters = Counters::builder(MemoryStore::new()).config(config);
    counters.register_events::<Counted>().start().await.expect("it starts")
}

/// Many callers at once, over `aggregates` aggregates of which one may stay in memory: each is answered.
async fn check<const STOPS: bool>(callers: usize, aggregates: usize) {
    let counters = start(Config::new().max_live_aggregates(1)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let counters = counters.clone();
        tasks.spawn(async move { counters.dispatch(Count::<STOPS>(caller % aggregates)).await });
    }
    for outcome in tasks.join_all().await {
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    let spread = join_all((0..aggregates).map(|id| counters.aggregate_state::<Counter<STOPS>>(id))).await;
    let versions = spread.into_iter().map(|state| state.expect("it can be read").version);
    assert_eq!(versions.sum::<u64>(), callers as u64);
}

/// With time paused, a caller that is never woken gets its timeout at once instead of after 5 s.
#[tokio::test(start_paused = true)]
async fn callers_that_wait_for_room_are_all_served() {
    check::<false>(100, 1).await;
}

#[tokio::test(start_paused = true)]
async fn callers_that_wait_at_an_instance_that_stops_are_all_served() {
    check::<true>(100, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_several_threads_are_all_served() {
    for _ in 0..20 {
        check::<false>(200, 3).await;
        check::<true>(200, 3).await;
    }
}

/// The first command runs in the caller's task until it has to wait, and from then on by itself.
#[tokio::test(start_paused = true)]
async fn a_caller_that_polls_no_further_keeps_nobody_waiting() {
    let counters = start(Config::new()).await;
    let mut first = counters.dispatch(Count::<false>(0)).into_future();
    assert!(futures_util::poll!(&mut first).is_pending());
    let second = counters.dispatch(Count::<false>(0)).await.expect("it is not held up");
    let first = first.await.expect("it was carried out");
    assert_eq!((first.version(), second.version()), (1, 2));
}
