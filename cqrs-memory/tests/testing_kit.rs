//! The testing kit for running applications, on a small bank that is put together by hand.
//!
//! Opening an account makes a handler dispatch a welcome, and the welcome makes another handler count it:
//! the chain that `settle` has to see to its end.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cqrs_core::aggregate::{Aggregate, AggregateSettings, Emitter, Execute, SnapshotPolicy};
use cqrs_core::application::{Application, Builder, Running};
use cqrs_core::clock::Clock as _;
use cqrs_core::command::{Command, CommandContext, CommandHandler, Direct};
use cqrs_core::event::{Event, EventContext, EventSchema, Upcast, UpcastError, Upcaster, event_set_of_one};
use cqrs_core::handler::{ErrorAction, EventHandler, HandlerFailure};
use cqrs_core::id::{CommandId, CorrelationId, EventId};
use cqrs_core::router::Router;
use cqrs_core::store::{Append, EventData, EventStore as _, ExpectedVersion, SnapshotStore as _, StreamId};
use cqrs_core::testing::{
    EventProbe, SettleError, TestClock, assert_correlated, assert_received, refute_received, settle,
    wait_for_event,
};
use cqrs_memory::MemoryStore;
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Version 1 had no owner.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Opened {
    owner: String,
    at: i64,
}

impl Event for Opened {
    const SCHEMA: &'static EventSchema =
        &EventSchema::new("Opened", 2).upcasters(&[Upcaster::new(1, add_owner)]);
}
event_set_of_one!(Opened);

fn add_owner(mut data: Value) -> Result<Upcast, UpcastError> {
    data["owner"] = json!("nobody");
    Ok(Upcast::Next(data))
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Welcomed;

impl Event for Welcomed {
    const SCHEMA: &'static EventSchema = &EventSchema::new("Welcomed", 1);
}
event_set_of_one!(Welcomed);

/// Nobody registers it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Forgotten;

impl Event for Forgotten {
    const SCHEMA: &'static EventSchema = &EventSchema::new("Forgotten", 1);
}
event_set_of_one!(Forgotten);

#[derive(Debug, PartialEq, Clone, Copy)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("refused")
    }
}

impl std::error::Error for Refused {}

#[derive(Default, Clone)]
struct Account {
    open: bool,
}

impl Aggregate for Account {
    type Event = Opened;
    type Error = Refused;
    const NAME: &'static str = "Account";
    const STREAM_PREFIX: &'static str = "account";

    fn apply(&mut self, _: &Opened) {
        self.open = true;
    }
}

#[derive(Serialize, Deserialize, Default, Clone)]
struct Greeting;

impl Aggregate for Greeting {
    type Event = Welcomed;
    type Error = Refused;
    const NAME: &'static str = "Greeting";
    const STREAM_PREFIX: &'static str = "greeting";

    fn apply(&mut self, _: &Welcomed) {}

    fn settings() -> AggregateSettings<Self> {
        AggregateSettings::new().snapshots(SnapshotPolicy::Every(1), 1)
    }
}

struct BankRouter;

impl Router for BankRouter {
    const NAME: &'static str = "BankRouter";
    type Includes = ();
}

#[derive(Serialize, Deserialize)]
struct Open(String);

impl Command for Open {
    type Router = BankRouter;
    type Aggregate = Account;
    type Handler = Considering;
    const NAME: &'static str = "Open";

    fn identity(&self) -> impl fmt::Display {
        &self.0
    }
}

cqrs_core::register_command!(Open);

/// Lets the aggregate decide, but not at once: a command that never waits is done when its dispatch is polled
/// first, and nobody could give it up in between.
#[derive(Default)]
struct Considering;

impl CommandHandler<Open> for Considering {
    async fn handle(
        &self,
        state: &Account,
        command: &Open,
        emitter: &mut Emitter<'_, Account>,
        context: &CommandContext,
    ) -> Result<(), Refused> {
        tokio::task::yield_now().await;
        state.execute(command, emitter, context)
    }
}

impl Execute<Open> for Account {
    fn execute(
        &self,
        command: &Open,
        emitter: &mut Emitter<'_, Self>,
        context: &CommandContext,
    ) -> Result<(), Refused> {
        if self.open {
            return Err(Refused);
        }
        emitter.emit(Opened { owner: command.0.clone(), at: context.now.timestamp() });
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Welcome(String);

impl Command for Welcome {
    type Router = BankRouter;
    type Aggregate = Greeting;
    type Handler = Direct;
    const NAME: &'static str = "Welcome";

    fn identity(&self) -> impl fmt::Display {
        &self.0
    }
}

cqrs_core::register_command!(Welcome);

impl Execute<Welcome> for Greeting {
    fn execute(
        &self,
        _: &Welcome,
        emitter: &mut Emitter<'_, Self>,
        _: &CommandContext,
    ) -> Result<(), Refused> {
        emitter.emit(Welcomed);
        Ok(())
    }
}

#[derive(Clone)]
struct Bank(Running<Bank>);

impl std::ops::Deref for Bank {
    type Target = Running<Bank>;

    fn deref(&self) -> &Running<Bank> {
        &self.0
    }
}

impl Application for Bank {
    const NAME: &'static str = "Bank";
    type Routers = (BankRouter, ());

    fn from_running(running: Running<Self>) -> Self {
        Self(running)
    }
}

/// Dispatches a welcome for each account.
#[derive(Clone, Default)]
struct Welcomer(Arc<OnceLock<Bank>>);

impl EventHandler for Welcomer {
    const NAME: &'static str = "welcomer";
    type Event = Opened;
    type State = ();
    type Error = Refused;

    async fn handle(&self, _: Opened, _: &mut (), context: &EventContext) -> Result<(), Refused> {
        let bank = self.0.get().ok_or(Refused)?;
        tokio::task::yield_now().await;
        let welcome = Welcome(context.aggregate_id().to_owned());
        bank.dispatch(welcome).await.map(drop).map_err(|_| Refused)
    }

    async fn on_error(&self, _: &HandlerFailure<Refused>) -> ErrorAction {
        ErrorAction::Stop
    }
}

/// Counts the welcomes, each of which needs a permit.
#[derive(Clone)]
struct Tally {
    count: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
}

impl EventHandler for Tally {
    const NAME: &'static str = "tally";
    type Event = Welcomed;
    type State = ();
    type Error = Refused;

    async fn handle(&self, _: Welcomed, _: &mut (), _: &EventContext) -> Result<(), Refused> {
        let permit = self.permits.acquire().await.map_err(|_| Refused)?;
        permit.forget();
        tokio::task::yield_now().await;
        self.count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// A bank with both handlers.
struct Fixture {
    bank: Bank,
    tally: Tally,
}

/// More permits than any test needs.
const UNLIMITED: usize = 1_000_000;

async fn start(store: MemoryStore, permits: usize) -> Fixture {
    let (welcomer, tally) =
        (Welcomer::default(), Tally { count: Arc::default(), permits: Arc::new(Semaphore::new(permits)) });
    let bank = Bank::builder(store)
        .event_handler(welcomer.clone())
        .event_handler(tally.clone())
        .start()
        .await
        .expect("the bank starts");
    assert!(welcomer.0.set(bank.clone()).is_ok());
    Fixture { bank, tally }
}

/// A bank without handlers.
async fn quiet(store: MemoryStore) -> Bank {
    let builder: Builder<Bank> = Bank::builder(store);
    builder.register_events::<Opened>().register_events::<Welcomed>().start().await.expect("the bank starts")
}

fn open(account: &str) -> Open {
    Open(account.to_owned())
}

fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a valid name")
}

/// The message with which `check` panics.
async fn failure<T>(check: impl Future<Output = T>) -> String {
    match AssertUnwindSafe(check).catch_unwind().await {
        Ok(_) => panic!("the check did not fail"),
        Err(panic) => *panic.downcast().expect("a message"),
    }
}

async fn check_fails<T>(check: impl Future<Output = T>, parts: &[&str]) {
    let message = failure(check).await;
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

#[tokio::test]
async fn t_410_an_event_that_was_published_is_received() {
    let bank = quiet(MemoryStore::new()).await;
    bank.dispatch(open("a-1")).await.unwrap();
    bank.dispatch(open("a-2")).await.unwrap();
    let first = wait_for_event::<Opened>(&bank, |_, _| true).await;
    assert_eq!((first.event.owner.as_str(), first.recorded.position), ("a-1", 1));
    let second = assert_received::<Opened>(&bank, |opened, _| opened.owner == "a-2").await;
    assert_eq!(second.recorded.stream_id, stream("account-a-2"));
    let by_recorded = assert_received::<Opened>(&bank, |_, recorded| recorded.position == 2).await;
    assert_eq!(by_recorded, second);
}

#[tokio::test]
async fn t_410_an_event_that_comes_later_is_waited_for() {
    let Fixture { bank, tally: _ } = start(MemoryStore::new(), UNLIMITED).await;
    let (welcomed, dispatched) = tokio::join!(
        wait_for_event::<Welcomed>(&bank, |_, recorded| recorded.stream_id == stream("greeting-a-1")),
        async { bank.dispatch(open("a-1")).await },
    );
    assert_eq!(welcomed.event, Welcomed);
    assert_eq!(welcomed.recorded.correlation_id, dispatched.unwrap().correlation_id());
}

#[tokio::test(start_paused = true)]
async fn t_410_no_event_fails() {
    let bank = quiet(MemoryStore::new()).await;
    check_fails(
        wait_for_event::<Opened>(&bank, |_, _| true),
        &["testing_kit.rs", "no Opened that matches came within 5s", "the log holds 0 events"],
    )
    .await;
    check_fails(
        assert_received::<Opened>(&bank, |_, _| true),
        &["testing_kit.rs", "no Opened that matches was received", "the log holds 0 events"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn t_410_the_wrong_event_fails() {
    let bank = quiet(MemoryStore::new()).await;
    bank.dispatch(open("a-1")).await.unwrap();
    check_fails(
        wait_for_event::<Welcomed>(&bank, |_, _| true),
        &["no Welcomed", "1 Opened v2 in account-a-1 at 1", "\"owner\":\"a-1\""],
    )
    .await;
    check_fails(assert_received::<Welcomed>(&bank, |_, _| true), &["no Welcomed", "1 Opened v2"]).await;
    check_fails(
        wait_for_event::<Opened>(&bank, |opened, _| opened.owner == "a-2"),
        &["no Opened that matches", "1 Opened v2"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn t_410_an_unknown_type_fails_at_once() {
    let bank = quiet(MemoryStore::new()).await;
    let started = tokio::time::Instant::now();
    let parts = ["\"Forgotten\" is not registered in application \"Bank\"", "Opened, Welcomed"];
    check_fails(wait_for_event::<Forgotten>(&bank, |_, _| true), &parts).await;
    check_fails(assert_received::<Forgotten>(&bank, |_, _| true), &parts).await;
    check_fails(refute_received::<Forgotten>(&bank, |_, _| true), &parts).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn events_of_old_versions_are_upcast() {
    let store = MemoryStore::new();
    let old = EventData {
        event_id: EventId::new(),
        event_type: "Opened".into(),
        schema_version: 1,
        data: r#"{"at":3}"#.into(),
        metadata: Default::default(),
        causation_id: CommandId::new().into(),
        correlation_id: CorrelationId::new(),
    };
    let append =
        Append::to_stream(CommandId::new(), stream("account-old"), ExpectedVersion::NoStream, vec![old]);
    store.append(append).await.unwrap();
    let bank = quiet(store).await;
    let received = wait_for_event::<Opened>(&bank, |opened, _| opened.owner == "nobody").await;
    assert_eq!((received.event.at, received.recorded.schema_version), (3, 1));
}

#[tokio::test]
async fn t_411_refuting_what_did_not_come() {
    let bank = quiet(MemoryStore::new()).await;
    bank.dispatch(open("a-1")).await.unwrap();
    let probe = EventProbe::new(&bank).await.unwrap();
    // None at all; earlier ones are ignored.
    bank.dispatch(open("a-1")).await.unwrap_err();
    probe.refute::<Opened>(|_, _| true).await;
    // None that matches.
    bank.dispatch(open("a-2")).await.unwrap();
    probe.refute::<Opened>(|opened, _| opened.owner == "a-1").await;
    probe.refute::<Welcomed>(|_, _| true).await;
    // Another stream.
    let elsewhere = probe.clone().in_stream(stream("account-a-3"));
    elsewhere.refute::<Opened>(|_, _| true).await;
    refute_received::<Opened>(&bank, |opened, _| opened.owner == "a-3").await;
}

#[tokio::test]
async fn t_411_refuting_what_came_fails() {
    let bank = quiet(MemoryStore::new()).await;
    let probe = EventProbe::new(&bank).await.unwrap();
    bank.dispatch(open("a-1")).await.unwrap();
    let parts = ["testing_kit.rs", "an event came that must not", "owner: \"a-1\"", "in account-a-1 at 1"];
    check_fails(probe.refute::<Opened>(|_, _| true), &parts).await;
    check_fails(probe.refute::<Opened>(|opened, _| opened.owner == "a-1"), &parts).await;
    let there = probe.clone().in_stream(stream("account-a-1"));
    check_fails(there.refute::<Opened>(|_, _| true), &parts).await;
    check_fails(refute_received::<Opened>(&bank, |_, _| true), &parts).await;
}

/// Refuting waits for the consequences, here of a handler that has not begun yet.
#[tokio::test]
async fn t_411_refuting_sees_what_a_handler_dispatches() {
    let Fixture { bank, tally: _ } = start(MemoryStore::new(), UNLIMITED).await;
    let probe = EventProbe::new(&bank).await.unwrap();
    bank.dispatch(open("a-1")).await.unwrap();
    check_fails(probe.refute::<Welcomed>(|_, _| true), &["an event came that must not"]).await;
}

// T-085
#[tokio::test]
async fn what_a_handler_dispatches_is_correlated_with_its_event() {
    let Fixture { bank, tally: _ } = start(MemoryStore::new(), UNLIMITED).await;
    bank.dispatch(open("a-1")).await.unwrap();
    bank.dispatch(open("a-2")).await.unwrap();
    let (opened, welcomed) =
        assert_correlated::<Opened, Welcomed>(&bank, |opened, _| opened.owner == "a-2", |_, _| true).await;
    assert_eq!(welcomed.recorded.stream_id, stream("greeting-a-2"));
    assert_eq!(welcomed.recorded.metadata.command_causation_id(), Some(opened.recorded.event_id.into()));
}

#[tokio::test]
async fn events_of_two_callers_are_not_correlated() {
    let bank = quiet(MemoryStore::new()).await;
    bank.dispatch(open("a-1")).await.unwrap();
    bank.dispatch(Welcome("a-1".to_owned())).await.unwrap();
    check_fails(
        assert_correlated::<Opened, Welcomed>(&bank, |_, _| true, |_, _| true),
        &["1 Opened and 1 Welcomed match", "no two have one correlation id", "2 Welcomed v1"],
    )
    .await;
    check_fails(
        assert_correlated::<Opened, Welcomed>(&bank, |_, _| false, |_, _| true),
        &["0 Opened and 1 Welcomed match"],
    )
    .await;
}

async fn check_settles_over_a_chain() {
    let Fixture { bank, tally } = start(MemoryStore::new(), UNLIMITED).await;
    for round in 1..=20 {
        let dispatched = bank.dispatch(open(&format!("a-{round}"))).await;
        assert!(dispatched.is_ok(), "{dispatched:?}");
        settle(&bank).await;
        assert_eq!(tally.count.load(Ordering::SeqCst), round);
        let handlers = bank.handlers().await.expect("the store is in memory");
        assert!(handlers.iter().all(|handler| handler.lag == 0), "{handlers:?}");
    }
}

#[tokio::test]
async fn settling_sees_a_chain_to_its_end() {
    check_settles_over_a_chain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn settling_sees_a_chain_to_its_end_with_several_threads() {
    check_settles_over_a_chain().await;
}

#[tokio::test(start_paused = true)]
async fn settling_takes_no_time_when_time_is_paused() {
    let started = tokio::time::Instant::now();
    check_settles_over_a_chain().await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn settling_waits_for_snapshots() {
    let store = MemoryStore::new();
    let Fixture { bank, tally: _ } = start(store.clone(), UNLIMITED).await;
    bank.dispatch(open("a-1")).await.unwrap();
    settle(&bank).await;
    let snapshot = store.latest_snapshot(&stream("greeting-a-1")).await.unwrap();
    assert_eq!(snapshot.map(|snapshot| snapshot.version), Some(1));
}

#[tokio::test]
async fn an_idle_application_is_settled() {
    settle(&quiet(MemoryStore::new()).await).await;
    let Fixture { bank, tally: _ } = start(MemoryStore::new(), UNLIMITED).await;
    settle(&bank).await;
}

#[tokio::test]
async fn settling_waits_for_dispatches_and_given_up_ones() {
    let Fixture { bank, tally } = start(MemoryStore::new(), UNLIMITED).await;
    let mut dispatch = Box::pin(async { bank.dispatch(open("a-1")).await });
    // Begun, then given up: the aggregate may have begun with it.
    assert!(futures_util::poll!(&mut dispatch).is_pending());
    drop(dispatch);
    settle(&bank).await;
    let opened = bank.store().head().await.unwrap();
    assert_eq!(tally.count.load(Ordering::SeqCst), usize::from(opened > 0));

    let (_, ()) =
        tokio::join!(async { bank.dispatch(open("a-2")).await.unwrap() }, settle(&bank).into_future());
    assert_eq!(tally.count.load(Ordering::SeqCst), usize::from(opened > 0) + 1);
}

#[tokio::test(start_paused = true)]
async fn settling_names_who_is_behind() {
    let Fixture { bank, tally } = start(MemoryStore::new(), 1).await;
    bank.dispatch(open("a-1")).await.unwrap();
    bank.dispatch(open("a-2")).await.unwrap();
    check_fails(
        settle(&bank).into_future(),
        &["settle at", "testing_kit.rs", "within 5s", "handler \"tally\" is running at 3 of 4"],
    )
    .await;
    let error = settle(&bank).within(Duration::from_millis(1)).check().await.unwrap_err();
    let SettleError::TimedOut { behind, dispatches: 0, working: 0, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(behind.iter().map(|handler| &*handler.name).collect::<Vec<_>>(), ["tally"]);

    settle(&bank).without("tally").await;
    let probe = EventProbe::from_origin(&bank);
    check_fails(probe.refute::<Opened>(|opened, _| opened.owner == "?"), &["\"tally\" is running"]).await;
    probe.without("tally").refute::<Opened>(|opened, _| opened.owner == "?").await;

    tally.permits.add_permits(1);
    settle(&bank).await;
    assert_eq!(tally.count.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failed_handler_is_reported_at_once() {
    let store = MemoryStore::new();
    // Without a bank to dispatch to, the handler fails.
    let bank = Bank::builder(store).event_handler(Welcomer::default()).start().await.unwrap();
    bank.dispatch(open("a-1")).await.unwrap();
    let started = tokio::time::Instant::now();
    check_fails(
        settle(&bank).into_future(),
        &["cannot settle", "handler \"welcomer\" is failed at 0 of 1: the handler failed: refused"],
    )
    .await;
    check_fails(assert_received::<Opened>(&bank, |_, _| true), &["\"welcomer\" is failed"]).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
    settle(&bank).without("welcomer").await;
    wait_for_event::<Opened>(&bank, |_, _| true).await;
    // Waiting in vain names it as a possible reason.
    check_fails(wait_for_event::<Opened>(&bank, |_, _| false), &["no Opened", "\"welcomer\" is failed"])
        .await;
}

#[tokio::test]
async fn an_application_that_does_not_run_does_not_settle() {
    let bank = quiet(MemoryStore::new()).await;
    bank.shutdown().await;
    let error = settle(&bank).check().await.unwrap_err();
    assert_eq!(error.to_string(), "application \"Bank\" is stopped");
}

#[tokio::test]
async fn commands_are_told_the_time_of_the_test() {
    let clock = TestClock::new();
    let bank = Bank::builder(MemoryStore::new())
        .clock(clock.clone())
        .register_events::<Opened>()
        .start()
        .await
        .unwrap();
    let before = clock.now().timestamp();
    clock.advance(Duration::from_secs(90));
    bank.dispatch(open("a-1")).await.unwrap();
    let opened = wait_for_event::<Opened>(&bank, |_, _| true).await;
    assert_eq!(opened.event.at, before + 90);
}
