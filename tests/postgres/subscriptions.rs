//! What handlers on Postgres are given: everything, in order, wherever they begin and whatever happens meanwhile.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cqrs::application::Config;
use cqrs::handler::{HandlerState, SubscribeTo};
use cqrs::id::CorrelationId;
use cqrs::postgres::testing::TestSchema;
use cqrs::postgres::{PostgresConfig, Schema};
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, Deletion, EventFilter, EventStore as _, ExpectedVersion, StreamId};
use cqrs::subscription::Follow;
use tokio::sync::mpsc;

use crate::domain::{Desk, Drawn, Paid, draw, in_time, pay, schema, store};

application! {
    /// Handlers are given by each test.
    pub struct Till {
        routers: [Desk],
    }
}

/// So long that no test lasts until then.
const NEVER: Duration = Duration::from_secs(3_600);

/// Tells of every payment, in and out; stays at one of them for ever if it is told to.
pub struct Ledger {
    told: mpsc::Sender<u64>,
    stay_at: Option<u64>,
}

#[event_handler(name = "ledger", interested_in = [Paid, Drawn], start_from = origin, consistency = strong)]
impl Ledger {
    async fn on_paid(&self, _event: &Paid, context: &EventContext) -> Result<(), Infallible> {
        self.tell(context.position()).await
    }

    async fn on_drawn(&self, _event: &Drawn, context: &EventContext) -> Result<(), Infallible> {
        self.tell(context.position()).await
    }
}

impl Ledger {
    async fn tell(&self, position: u64) -> Result<(), Infallible> {
        let _ = self.told.send(position).await;
        if self.stay_at == Some(position) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// Tells of what is paid out, beginning at the present.
pub struct Newcomer(mpsc::Sender<u64>);

#[event_handler(name = "newcomer", interested_in = [Paid], start_from = current, consistency = strong)]
impl Newcomer {
    async fn on_paid(&self, _event: &Paid, context: &EventContext) -> Result<(), Infallible> {
        let _ = self.0.send(context.position()).await;
        Ok(())
    }
}

/// Tells of payments behind position 2.
pub struct Latecomer(mpsc::Sender<u64>);

#[event_handler(name = "latecomer", interested_in = [Paid], start_from = position(2), consistency = strong)]
impl Latecomer {
    async fn on_paid(&self, _event: &Paid, context: &EventContext) -> Result<(), Infallible> {
        let _ = self.0.send(context.position()).await;
        Ok(())
    }
}

/// Tells of what is drawn, and of nothing else.
pub struct Draws(mpsc::Sender<u64>);

#[event_handler(name = "draws", interested_in = [Drawn], start_from = origin, consistency = strong)]
impl Draws {
    async fn on_drawn(&self, _event: &Drawn, context: &EventContext) -> Result<(), Infallible> {
        let _ = self.0.send(context.position()).await;
        Ok(())
    }
}

fn channel() -> (mpsc::Sender<u64>, mpsc::Receiver<u64>) {
    mpsc::channel(100_000)
}

fn ledger() -> (Ledger, mpsc::Receiver<u64>) {
    let (told, hear) = channel();
    (Ledger { told, stay_at: None }, hear)
}

/// What was told so far.
fn rest(hear: &mut mpsc::Receiver<u64>) -> Vec<u64> {
    std::iter::from_fn(|| hear.try_recv().ok()).collect()
}

async fn take(hear: &mut mpsc::Receiver<u64>, count: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    for _ in 0..count {
        positions.push(in_time(hear.recv()).await.unwrap());
    }
    positions
}

fn range(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

async fn pay_times(till: &Till, count: u64) {
    for _ in 0..count {
        till.dispatch(pay("a", 1)).await.unwrap();
    }
}

/// A log with as many payments.
async fn past(store: &PostgresStore, count: u64) {
    let till = Till::builder(store.clone()).start().await.unwrap();
    pay_times(&till, count).await;
    till.shutdown().await;
}

/// Waits until a handler's progress is noted in the store.
async fn checkpoint_is(store: &PostgresStore, handler: &str, position: u64) {
    in_time(async { while store.checkpoint(handler).await.unwrap() != Some(position) {} }).await;
}

async fn state_is(till: &Till, state: HandlerState) {
    in_time(async { while till.handlers().await.unwrap()[0].state != state {} }).await;
}

/// An event has an id of its own, and its type says what it is.
#[tokio::test]
async fn pg_015_pg_020_events_get_ids_and_the_names_of_their_types() {
    let schema = schema().await;
    let store = store(&schema).await;
    let till = Till::builder(store.clone()).start().await.unwrap();
    pay_times(&till, 2).await;
    till.dispatch(draw("a", 1)).await.unwrap();
    let log = store.read_log(0, &EventFilter::all(), 10).await.unwrap().events;
    assert_eq!(log.iter().map(|event| &*event.event_type).collect::<Vec<_>>(), ["Paid", "Paid", "Drawn"]);
    let ids: std::collections::HashSet<_> = log.iter().map(|event| event.event_id).collect();
    assert_eq!(ids.len(), 3);
    till.shutdown().await;
}

/// Each node is told whether it runs a handler, before there is any event and also when it comes later.
#[tokio::test]
async fn pg_075_each_node_knows_whether_it_runs_a_handler() {
    let schema = schema().await;
    let ((first, mut hear_first), (second, mut hear_second)) = (ledger(), ledger());
    let first = Till::builder(store(&schema).await).node("a").event_handler(first).start().await.unwrap();
    state_is(&first, HandlerState::Running).await;
    let second = Till::builder(store(&schema).await).node("b").event_handler(second).start().await.unwrap();
    state_is(&second, HandlerState::Passive).await;
    in_time(second.dispatch(pay("a", 1)).consistency(Strong)).await.unwrap();
    assert_eq!((rest(&mut hear_first), rest(&mut hear_second)), (vec![1], vec![]));
    first.shutdown().await;
    state_is(&second, HandlerState::Running).await;
    second.shutdown().await;
}

/// From the origin, the present or a position; several handlers side by side each get what is theirs.
#[tokio::test]
async fn pg_076_pg_080_handlers_begin_where_they_say() {
    let schema = schema().await;
    let store = store(&schema).await;
    past(&store, 5).await;
    let ((ledger, mut origin), (current, mut present), (late, mut position)) =
        (ledger(), channel(), channel());
    let till = Till::builder(store)
        .event_handler(ledger)
        .event_handler(Newcomer(current))
        .event_handler(Latecomer(late));
    let till = till.start().await.unwrap();
    in_time(till.dispatch(pay("a", 1)).consistency(Strong)).await.unwrap();
    assert_eq!(rest(&mut origin), range(1, 6));
    assert_eq!(rest(&mut present), [6]);
    assert_eq!(rest(&mut position), range(3, 6));
    till.shutdown().await;
}

/// On an empty log a handler waits; what comes first wakes it, and so does what comes after it was idle. Nothing but
/// the waking helps: nobody polls.
#[tokio::test]
async fn pg_077_pg_102_an_idle_handler_wakes() {
    let schema = schema().await;
    let config = PostgresConfig::new(schema.url()).schema(schema.name()).connections(4).poll_interval(NEVER);
    let (ledger, mut hear) = ledger();
    let reader = Till::builder(PostgresStore::connect(config).await.unwrap())
        .node("reader")
        .config(Config::new().poll_interval(NEVER))
        .event_handler(ledger);
    let reader = reader.start().await.unwrap();
    let writer = Till::builder(store(&schema).await).node("writer").start().await.unwrap();
    for position in 1..=10 {
        let node = if position % 2 == 0 { &writer } else { &reader };
        node.dispatch(pay(&format!("account-{position}"), 1)).await.unwrap();
        assert_eq!(take(&mut hear, 1).await, [position]);
    }
    writer.shutdown().await;
    reader.shutdown().await;
}

/// Neither the size of what is kept in memory nor the times at which progress is noted (`pg_112`) change what a
/// handler is given, in the past and in the present, while others write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_078_pg_092_pg_112_no_setting_changes_what_is_given() {
    const PAST: u64 = 40;
    const PRESENT: u64 = 60;
    let settings = [
        Config::new(),
        Config::new().tail_buffer(1).tail_page(1),
        Config::new().tail_buffer(1).tail_page(7).checkpoint_every(1),
        Config::new().tail_buffer(2_000).tail_page(3).checkpoint_interval(Duration::ZERO),
        Config::new().checkpoint_every(1).checkpoint_interval(Duration::ZERO),
        Config::new().tail_page(2).checkpoint_every(u64::MAX).checkpoint_interval(NEVER),
    ];
    for config in settings {
        let schema = schema().await;
        let store = store(&schema).await;
        past(&store, PAST).await;
        let ((ledger, mut hear), (told, mut hear_slowly)) = (ledger(), mpsc::channel(1));
        let till = Till::builder(store.clone())
            .config(config.clone())
            .event_handler(ledger)
            .event_handler_as("slow", Ledger { told, stay_at: None });
        let till = till.start().await.unwrap();
        let writers = (0..6).map(|number| {
            let till = till.clone();
            tokio::spawn(async move {
                for _ in 0..PRESENT / 6 {
                    till.dispatch(pay(&format!("account-{number}"), 1)).await.unwrap();
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        assert_eq!(take(&mut hear, PAST + PRESENT).await, range(1, PAST + PRESENT), "{config:?}");
        assert_eq!(take(&mut hear_slowly, PAST + PRESENT).await, range(1, PAST + PRESENT), "{config:?}");
        for writer in writers {
            in_time(writer).await.unwrap();
        }
        assert!(in_time(till.shutdown()).await.is_clean());
        assert_eq!((rest(&mut hear), rest(&mut hear_slowly)), (vec![], vec![]), "{config:?}");
        assert_eq!(store.checkpoint("slow").await.unwrap(), Some(PAST + PRESENT));
    }
}

/// Progress is noted when a handler has nothing left to do, and when it is stopped.
#[tokio::test]
async fn pg_085_progress_is_noted_when_idle_and_at_a_stop() {
    let schema = schema().await;
    let store = store(&schema).await;
    past(&store, 5).await;
    let (ledger, mut hear) = ledger();
    let config = Config::new().checkpoint_every(u64::MAX).checkpoint_interval(NEVER);
    let till = Till::builder(store.clone()).config(config).event_handler(ledger).start().await.unwrap();
    checkpoint_is(&store, "ledger", 5).await;
    in_time(till.dispatch(pay("a", 1)).consistency(Strong)).await.unwrap();
    checkpoint_is(&store, "ledger", 6).await;
    till.dispatch(pay("a", 1)).await.unwrap();
    assert_eq!(take(&mut hear, 7).await, range(1, 7));
    till.shutdown().await;
    assert_eq!(store.checkpoint("ledger").await.unwrap(), Some(7));
}

/// A handler that was cut off at an event is given that event again, and none before it.
#[tokio::test]
async fn pg_087_a_handler_goes_on_behind_what_it_has_handled() {
    let schema = schema().await;
    let store = store(&schema).await;
    past(&store, 9).await;
    let (told, mut hear) = channel();
    let config = Config::new().checkpoint_every(1).shutdown_deadline(Duration::from_millis(50));
    let stays = Ledger { told, stay_at: Some(6) };
    let till = Till::builder(store.clone()).config(config).event_handler(stays).start().await.unwrap();
    assert_eq!(take(&mut hear, 6).await, range(1, 6));
    let report = in_time(till.shutdown()).await;
    assert_eq!(report.unfinished_handlers, ["ledger"]);
    for (first, last) in [(6, 10), (11, 11)] {
        let (ledger, mut hear) = ledger();
        let till = Till::builder(store.clone()).event_handler(ledger).start().await.unwrap();
        till.dispatch(pay("a", 1)).await.unwrap();
        assert_eq!(take(&mut hear, last + 1 - first).await, range(first, last));
        assert!(in_time(till.shutdown()).await.is_clean());
        assert_eq!(rest(&mut hear), Vec::<u64>::new());
    }
}

/// Whoever follows the log by himself begins anew each time, and moves no handler; nor is he moved by one.
#[tokio::test]
async fn pg_088_following_and_handling_keep_apart() {
    let schema = schema().await;
    let store = store(&schema).await;
    past(&store, 4).await;
    for _ in 0..2 {
        let mut follow = Follow::new(Arc::new(store.clone()), 0, EventFilter::all());
        for position in 1..=4 {
            assert_eq!(in_time(follow.next()).await.unwrap().position, position);
        }
        assert_eq!(store.checkpoint("ledger").await.unwrap(), None);
    }
    let (ledger, mut hear) = ledger();
    let till = Till::builder(store.clone()).event_handler(ledger).start().await.unwrap();
    assert_eq!(take(&mut hear, 4).await, range(1, 4));
    till.shutdown().await;
    let mut follow = Follow::new(Arc::new(store.clone()), 0, EventFilter::all());
    assert_eq!(in_time(follow.next()).await.unwrap().position, 1);
    assert_eq!(store.checkpoint("ledger").await.unwrap(), Some(4));
}

/// A handler is given what it is interested in, in the past and in the present; its progress passes what it is not,
/// also when there is nothing else.
#[tokio::test]
async fn pg_090_progress_passes_what_a_handler_does_not_want() {
    let schema = schema().await;
    let store = store(&schema).await;
    past(&store, 20).await;
    let (told, mut hear) = mpsc::channel(1);
    let till = Till::builder(store.clone()).event_handler(Draws(told.clone())).start().await.unwrap();
    checkpoint_is(&store, "draws", 20).await;
    for _ in 0..3 {
        pay_times(&till, 4).await;
        till.dispatch(draw("a", 1)).await.unwrap();
    }
    assert_eq!(take(&mut hear, 3).await, [25, 30, 35]);
    pay_times(&till, 5).await;
    in_time(async { while till.handlers().await.unwrap()[0].position < 40 {} }).await;
    till.shutdown().await;
    assert_eq!(store.checkpoint("draws").await.unwrap(), Some(40));
    past(&store, 5).await;
    let till = Till::builder(store.clone()).event_handler(Draws(told)).start().await.unwrap();
    checkpoint_is(&store, "draws", 45).await;
    till.shutdown().await;
    assert_eq!(rest(&mut hear), Vec::<u64>::new());
}

/// Events of softly deleted streams are handled, those of hard-deleted ones are passed over, also by a handler that
/// goes on after a stop; its progress passes the hole.
#[tokio::test]
async fn pg_093_handlers_pass_over_what_was_deleted() {
    let schema = schema().await;
    let settings = Schema::named(schema.name()).allow_hard_deletion(true);
    let config = PostgresConfig::new(schema.url()).schema(settings).connections(4).user_connections(2);
    let store = PostgresStore::connect(config).await.unwrap();
    let (told, mut hear) = channel();
    let start = async || {
        let ledger = Ledger { told: told.clone(), stay_at: None };
        Till::builder(store.clone()).event_handler(ledger).start().await.unwrap()
    };
    let delete = async |name: &str, deletion| {
        let stream_id = StreamId::new(format!("account-{name}")).unwrap();
        store.delete_stream(&stream_id, ExpectedVersion::Any, deletion).await.unwrap();
    };
    let till = start().await;
    in_time(till.dispatch(pay("first", 1)).consistency(Strong)).await.unwrap();
    till.shutdown().await;
    let writer = Till::builder(store.clone()).start().await.unwrap();
    for name in ["soft", "hard", "open", "hard", "soft", "hard"] {
        writer.dispatch(pay(name, 1)).await.unwrap();
    }
    writer.shutdown().await;
    delete("soft", Deletion::Soft).await;
    delete("hard", Deletion::Hard).await;
    let till = start().await;
    checkpoint_is(&store, "ledger", 7).await;
    assert_eq!(rest(&mut hear), [1, 2, 4, 6]);
    in_time(till.dispatch(pay("hard", 1)).consistency(Strong)).await.unwrap();
    assert_eq!(rest(&mut hear), [8], "the name has begun anew");
    till.shutdown().await;
}

/// A handler that joins later is given at once all that there is, without a further event.
#[tokio::test]
async fn pg_096_a_handler_that_joins_gets_what_is_there() {
    let schema = schema().await;
    let store = store(&schema).await;
    let (first, mut hear) = ledger();
    let till = Till::builder(store.clone()).event_handler(first).start().await.unwrap();
    pay_times(&till, 8).await;
    assert_eq!(take(&mut hear, 8).await, range(1, 8));
    till.shutdown().await;
    let ((first, mut hear), (joins, mut joined)) = (ledger(), ledger());
    let till = Till::builder(store.clone()).event_handler(first).event_handler_as("joins", joins);
    let till = till.start().await.unwrap();
    assert_eq!(take(&mut joined, 8).await, range(1, 8));
    till.shutdown().await;
    assert_eq!(rest(&mut hear), Vec::<u64>::new());
}

/// Connections that are killed while the log is read cost no event.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_101_killed_connections_cost_no_event() {
    let schema = schema().await;
    let options: sqlx::postgres::PgConnectOptions = schema.url().parse().unwrap();
    let config = PostgresConfig::from_options(options.application_name(schema.name()));
    let config = config.schema(schema.name()).connections(4).user_connections(1);
    let (ledger, mut hear) = ledger();
    let reader =
        Till::builder(PostgresStore::connect(config).await.unwrap()).node("reader").event_handler(ledger);
    let reader = reader.start().await.unwrap();
    let writer = Till::builder(store(&schema).await).node("writer").start().await.unwrap();
    let mut told = Vec::new();
    for round in 1..=8 {
        pay_times(&writer, 5).await;
        assert!(kill(&schema).await > 0, "the reader is connected");
        pay_times(&writer, 5).await;
        while told.last() != Some(&(10 * round)) {
            told.extend(take(&mut hear, 1).await);
        }
    }
    told.dedup();
    assert_eq!(told, range(1, 80));
    writer.shutdown().await;
    in_time(reader.shutdown()).await;
}

/// Ends the connections of the application that is named as the schema is; gives how many there were.
async fn kill(schema: &TestSchema) -> u64 {
    let store = store(schema).await;
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1";
    sqlx::query(kill).bind(schema.name()).execute(store.user_pool()).await.unwrap().rows_affected()
}

/// Applications come and go while others work, and none touches another.
#[tokio::test]
async fn pg_103_applications_come_and_go_side_by_side() {
    let schemas = [schema().await, schema().await, schema().await];
    let mut stores = Vec::new();
    for schema in &schemas {
        stores.push(store(schema).await);
    }
    let start = async |number: usize| {
        let (ledger, hear) = ledger();
        let till = Till::builder(stores[number].clone()).name(format!("till-{number}")).event_handler(ledger);
        (till.start().await.unwrap(), hear)
    };
    let (mut first, mut second) = (start(0).await, start(1).await);
    pay_times(&first.0, 3).await;
    pay_times(&second.0, 2).await;
    assert_eq!(take(&mut first.1, 3).await, range(1, 3));
    first.0.shutdown().await;
    assert!(first.0.dispatch(pay("a", 1)).await.is_err());
    let mut third = start(2).await;
    pay_times(&third.0, 1).await;
    pay_times(&second.0, 2).await;
    assert_eq!(take(&mut second.1, 4).await, range(1, 4));
    assert_eq!(take(&mut third.1, 1).await, [1]);
    let mut again = start(0).await;
    pay_times(&again.0, 1).await;
    assert_eq!(take(&mut again.1, 1).await, [4]);
    for till in [again.0, second.0, third.0] {
        assert!(till.shutdown().await.is_clean());
    }
}

/// Fails at payments of 13 until it is mended.
struct Superstitious {
    is_mended: Arc<std::sync::atomic::AtomicBool>,
    told: mpsc::Sender<u64>,
}

#[event_handler(name = "superstitious", interested_in = [Paid], consistency = strong)]
impl Superstitious {
    async fn on_paid(&self, event: &Paid, context: &EventContext) -> Result<(), std::io::Error> {
        if event.amount == 13 && !self.is_mended.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(std::io::Error::other("not\0today"));
        }
        self.told.try_send(context.position()).map_err(std::io::Error::other)
    }

    async fn on_error(&self, _failure: &HandlerFailure<std::io::Error>) -> ErrorAction {
        ErrorAction::Park
    }
}

/// What is parked is in the database: it outlives the process, and what waited is handled in order.
#[tokio::test]
async fn what_is_parked_outlives_the_application() {
    let schema = schema().await;
    let is_mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (told, mut handled) = mpsc::channel(100);
    let start = async || {
        let handler = Superstitious { is_mended: Arc::clone(&is_mended), told: told.clone() };
        Till::builder(store(&schema).await).event_handler(handler).start().await.unwrap()
    };
    let till = start().await;
    for (account, amount) in [("a", 1), ("a", 13), ("a", 2), ("b", 3)] {
        let dispatched = till.dispatch(pay(account, amount)).consistency(Strong).await;
        assert_eq!(dispatched.is_err(), account == "a" && amount != 1, "{dispatched:?}");
    }
    till.shutdown().await;
    let till = start().await;
    let handler = till.handler("superstitious").unwrap();
    let parked = handler.parked(None, 10).await.unwrap();
    assert_eq!((parked.len(), parked[0].key.as_str(), parked[0].position), (1, "account-a", 2));
    assert!(parked[0].error.contains("not\u{fffd}today"), "{:?}", parked[0].error);
    is_mended.store(true, std::sync::atomic::Ordering::SeqCst);
    handler.retry_parked("account-a").await.unwrap();
    let mut positions = Vec::new();
    while positions.len() < 4 {
        positions.push(in_time(handled.recv()).await.unwrap());
    }
    assert_eq!(positions, [1, 4, 2, 3]);
    till.dispatch(pay("a", 5)).consistency(Strong).await.unwrap();
    assert_eq!(handler.parked(None, 10).await.unwrap(), []);
    till.shutdown().await;
}

/// Orders reach the node that runs the handler by way of the database.
#[tokio::test]
async fn a_handler_is_paused_reset_and_resumed_from_another_node() {
    let schema = schema().await;
    let (told, mut positions) = mpsc::channel(100);
    let start = async |node: &str| {
        let ledger = Ledger { told: told.clone(), stay_at: None };
        Till::builder(store(&schema).await).node(node).event_handler(ledger).start().await.unwrap()
    };
    let owner = start("owner").await;
    let other = start("other").await;
    owner.dispatch(pay("a", 1)).consistency(Strong).await.unwrap();
    assert_eq!(in_time(positions.recv()).await, Some(1));
    let ledger = other.handler("ledger").unwrap();
    ledger.pause().await.unwrap();
    let state = async || owner.handler("ledger").unwrap().status().await.unwrap().state;
    in_time(async {
        while state().await != HandlerState::Paused {
            tokio::task::yield_now().await;
        }
    })
    .await;
    other.dispatch(pay("a", 2)).await.unwrap();
    ledger.reset().await.unwrap();
    ledger.resume().await.unwrap();
    assert_eq!(in_time(positions.recv()).await, Some(1));
    assert_eq!(in_time(positions.recv()).await, Some(2));
    other.dispatch(pay("a", 3)).consistency(Strong).await.unwrap();
    assert_eq!(in_time(positions.recv()).await, Some(3));
    other.shutdown().await;
    owner.shutdown().await;
}

/// What belongs together is given to who is subscribed to it, wherever in the log it lies and whoever has written it.
#[tokio::test]
async fn pg_052_a_handler_is_subscribed_to_a_correlation() {
    let schema = schema().await;
    let (together, other) = (CorrelationId::new(), CorrelationId::new());
    let till = Till::builder(store(&schema).await).node("a").start().await.unwrap();
    let elsewhere = Till::builder(store(&schema).await).node("b").start().await.unwrap();
    let pay_in = async |node: &Till, account: &str, correlation_id| {
        let taken = node.dispatch(pay(account, 1)).correlation_id(correlation_id);
        in_time(taken.consistency(Strong)).await.unwrap();
    };
    for (account, correlation_id) in [("a", together), ("b", other), ("b", together), ("a", other)] {
        pay_in(&till, account, correlation_id).await;
    }
    let (first, mut hear) = ledger();
    let subscribe_to = SubscribeTo::Correlation(together);
    let handler = till.add_event_handler_to("of-it", subscribe_to, first).await.unwrap();
    assert_eq!(take(&mut hear, 2).await, [1, 3]);
    for (node, account, correlation_id) in [
        (&till, "c", together),
        (&elsewhere, "a", together),
        (&elsewhere, "a", other),
        (&till, "b", together),
    ] {
        pay_in(node, account, correlation_id).await;
    }
    assert_eq!(rest(&mut hear), [5, 6, 8], "the last dispatch has waited for all of them");
    pay_in(&till, "a", other).await;
    in_time(async { while handler.status().await.unwrap().position < 9 {} }).await;
    till.remove_handler("of-it").await.unwrap();
    pay_in(&till, "a", together).await;
    till.shutdown().await;

    let again = Till::builder(store(&schema).await).node("a").start().await.unwrap();
    let (second, mut hear) = ledger();
    again.add_event_handler_to("of-it", subscribe_to, second).await.unwrap();
    assert_eq!(take(&mut hear, 1).await, [10], "it goes on where it was");
    again.shutdown().await;
    elsewhere.shutdown().await;
}
