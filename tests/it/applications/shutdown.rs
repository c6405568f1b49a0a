//! The end of an application: what was accepted is finished or reported, within a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::application::{ApplicationState, ShutdownReport};
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::faulty_store::{Call, Fault, FaultyStore};
use crate::handlers::domain::*;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "shutdown.Baked")]
struct Baked {}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = OvenRouter, aggregate = Oven, identify_by = id, handler = Baker, timeout = never)]
struct Bake {
    id: u32,
}

#[derive(Default, Clone, Debug)]
struct Oven;

#[aggregate(stream_prefix = "oven")]
impl Oven {
    #[apply]
    fn baked(&mut self, _event: &Baked) {}
}

#[derive(Router)]
struct OvenRouter;

/// Says that it has begun, and goes on when it may.
#[derive(Clone)]
struct Baker {
    begun: Arc<Semaphore>,
    go_on: Arc<Semaphore>,
}

#[command_handler]
impl Baker {
    #[execute]
    async fn bake(&self, _oven: &Oven, _command: &Bake) -> Baked {
        self.begun.add_permits(1);
        self.go_on.acquire().await.expect("open").forget();
        Baked {}
    }
}

impl Baker {
    fn new() -> Self {
        Self { begun: Arc::new(Semaphore::new(0)), go_on: Arc::new(Semaphore::new(0)) }
    }

    async fn has_begun(&self, times: u32) {
        soon(self.begun.acquire_many(times)).await.expect("open").forget();
    }
}

application! {
    struct Bakery {
        routers: [OvenRouter],
    }
}

async fn bakery(baker: &Baker) -> (MemoryStore, Bakery) {
    let store = MemoryStore::new();
    let bakery = Bakery::builder(store.clone()).command_handler(baker.clone()).start().await.unwrap();
    (store, bakery)
}

async fn until_not_running(state: impl Fn() -> ApplicationState) {
    until(async || (state() != ApplicationState::Running).then_some(())).await;
}

// G11, CA-001 (2)
#[tokio::test]
async fn ca_001_commands_under_way_are_finished_and_new_ones_are_refused() {
    let baker = Baker::new();
    let (store, bakery) = bakery(&baker).await;
    let mut under_way = JoinSet::new();
    for id in 0..5 {
        let bakery = bakery.clone();
        under_way.spawn(async move { bakery.dispatch(Bake { id }).await });
    }
    baker.has_begun(5).await;
    assert_eq!(bakery.health().await.unwrap().dispatches, 5);
    let mut shutdown = JoinSet::new();
    let stopping = bakery.clone();
    shutdown.spawn(async move { stopping.shutdown().await });
    until_not_running(|| bakery.state()).await;
    for _ in 0..3 {
        let error = bakery.dispatch(Bake { id: 9 }).await.unwrap_err();
        assert!(
            matches!(&error, DispatchError::NotRunning { application, state }
                if application == "Bakery" && *state == ApplicationState::ShuttingDown),
            "{error:?}"
        );
    }
    baker.go_on.add_permits(5);
    let report = soon(shutdown.join_next()).await.unwrap().unwrap();
    assert!(report.is_clean(), "{report}");
    for dispatched in soon(under_way.join_all()).await {
        assert_eq!(dispatched.unwrap().version(), 1);
    }
    assert_eq!(log(&store).await.len(), 5);
}

// G11: commands that wait in the queue of one aggregate were accepted as well.
#[tokio::test]
async fn g11_commands_that_wait_for_their_aggregate_are_finished() {
    let baker = Baker::new();
    let (store, bakery) = bakery(&baker).await;
    let mut under_way = JoinSet::new();
    for _ in 0..5 {
        let bakery = bakery.clone();
        under_way.spawn(async move {
            bakery.dispatch(Bake { id: 1 }).await.map(|dispatched| dispatched.version())
        });
    }
    baker.has_begun(1).await;
    until(async || (bakery.health().await.unwrap().dispatches == 5).then_some(())).await;
    baker.go_on.add_permits(5);
    let report = soon(bakery.shutdown()).await;
    assert!(report.is_clean(), "{report}");
    let mut versions: Vec<_> = soon(under_way.join_all()).await.into_iter().map(Result::unwrap).collect();
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    assert_eq!(log(&store).await.len(), 5);
}

// CA-001 (5), G11
#[tokio::test(start_paused = true)]
async fn ca_001_a_command_handler_that_never_returns_does_not_hold_up_the_end() {
    let baker = Baker::new();
    let (store, bakery) = bakery(&baker).await;
    let mut under_way = JoinSet::new();
    for id in 0..2 {
        let bakery = bakery.clone();
        under_way.spawn(async move { bakery.dispatch(Bake { id }).await });
    }
    baker.has_begun(2).await;
    let began = Instant::now();
    let report = bakery.shutdown_within(Duration::from_secs(3)).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_millis(3_050), "{took:?}");
    assert_eq!(report.unfinished_dispatches, 2);
    assert!(!report.is_clean());
    assert!(report.to_string().contains("2 dispatches"), "{report}");

    // It comes back after the end, and may not write any more.
    baker.go_on.add_permits(2);
    for dispatched in soon(under_way.join_all()).await {
        let error = dispatched.unwrap_err();
        assert!(!error.is_committed() && !error.is_outcome_unknown(), "{error:?}");
    }
    assert_eq!(log(&store).await.len(), 0, "nothing is appended after the end");
}

// CA-001 (5), G11
#[tokio::test(start_paused = true)]
async fn ca_001_a_handler_that_never_returns_does_not_hold_up_the_end_and_is_named() {
    let store = MemoryStore::new();
    let begun = Arc::new(Notify::new());
    let told = Arc::clone(&begun);
    let dropped = Arc::new(AtomicBool::new(false));
    let guarded = Arc::clone(&dropped);
    let stuck = Script::new(move |_, _| {
        let guard = OnDrop(Arc::clone(&guarded));
        told.notify_one();
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    });
    let (quick, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone())
        .event_handler(Eager(stuck))
        .event_handler(Careful(quick))
        .start()
        .await
        .unwrap();
    desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
    soon(begun.notified()).await;
    let began = Instant::now();
    let report = desk.shutdown_within(Duration::from_secs(2)).await;
    assert!(began.elapsed() < Duration::from_millis(2_050), "{:?}", began.elapsed());
    assert_eq!(
        (report.unfinished_handlers.as_slice(), report.unfinished_dispatches),
        (&["eager".to_owned()][..], 0)
    );
    assert!(report.to_string().contains("eager"), "{report}");
    soon(until(async || dropped.load(Ordering::SeqCst).then_some(()))).await;
    let states: Vec<_> = desk.handlers().await.unwrap().into_iter().map(|handler| handler.state).collect();
    assert_eq!(states, [HandlerState::Stopped, HandlerState::Stopped]);
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(1));
    assert_eq!(store.checkpoint("eager").await.unwrap(), Some(0));
    assert_eq!(inbox.rest(), ["x"]);

    // The event is handled at the next start.
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store).event_handler(Eager(script)).start().await.unwrap();
    assert_eq!(inbox.texts(1).await, ["x"]);
    desk.shutdown().await;
}

struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

// G11: a store that hangs in an append is no reason to hang in the shutdown.
#[tokio::test(start_paused = true)]
async fn g11_a_store_that_never_answers_does_not_hold_up_the_end() {
    let store = FaultyStore::default();
    let desk = Desk::builder(store.clone()).start().await.unwrap();
    store.fail(Call::Append, Fault::Hang, 1);
    let mut under_way = JoinSet::new();
    let dispatching = desk.clone();
    under_way.spawn(async move { dispatching.dispatch(note("a", "x")).no_timeout().await });
    until(async || (store.calls(Call::Append) == 1).then_some(())).await;
    let began = Instant::now();
    let report = desk.shutdown_within(Duration::from_secs(1)).await;
    assert!(began.elapsed() < Duration::from_millis(1_050));
    assert_eq!(report.unfinished_dispatches, 1);
}

#[tokio::test(start_paused = true)]
async fn g11_a_checkpoint_that_cannot_be_saved_does_not_hold_up_the_end() {
    let store = FaultyStore::default();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    store.fail(Call::SaveCheckpoint, Fault::Hang, usize::MAX);
    desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
    let began = Instant::now();
    let report = desk.shutdown_within(Duration::from_secs(1)).await;
    assert!(began.elapsed() < Duration::from_millis(1_050));
    assert_eq!(report.unfinished_handlers, ["careful"]);
    assert_eq!(inbox.rest(), ["x"]);
}

// A handler that is at an event may still dispatch while the application shuts down.
#[tokio::test]
async fn g11_a_handler_may_dispatch_while_it_finishes_its_event() {
    let store = MemoryStore::new();
    let later = DeskLater::default();
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (place, told, gate) = (later.clone(), Arc::clone(&begun), Arc::clone(&go_on));
    let script = Script::new(move |event, _| {
        let (desk, told, gate) = (place.get(), Arc::clone(&told), Arc::clone(&gate));
        async move {
            if event.text == "question" {
                told.notify_one();
                gate.notified().await;
                desk.dispatch(note("a", "answer")).await.map_err(|_| Broken("refused"))?;
            }
            Ok(())
        }
    })
    .on_error(|_| ErrorAction::Stop);
    let desk = Desk::builder(store.clone()).event_handler(Eager(script)).start().await.unwrap();
    later.set(&desk);
    desk.dispatch(note("a", "question")).await.unwrap();
    soon(begun.notified()).await;
    let mut shutdown = JoinSet::new();
    let stopping = desk.clone();
    shutdown.spawn(async move { stopping.shutdown().await });
    until_not_running(|| desk.state()).await;
    go_on.notify_one();
    let report = soon(shutdown.join_next()).await.unwrap().unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(log(&store).await.len(), 2);
    assert_eq!(store.checkpoint("eager").await.unwrap(), Some(1));
}

#[tokio::test]
async fn two_shutdowns_are_one() {
    let baker = Baker::new();
    let (_, bakery) = bakery(&baker).await;
    let mut under_way = JoinSet::new();
    let dispatching = bakery.clone();
    under_way.spawn(async move { dispatching.dispatch(Bake { id: 1 }).await.map(drop) });
    baker.has_begun(1).await;
    let mut shutdowns = JoinSet::new();
    for _ in 0..2 {
        let bakery = bakery.clone();
        shutdowns.spawn(async move { bakery.shutdown().await });
    }
    until_not_running(|| bakery.state()).await;
    assert!(shutdowns.try_join_next().is_none(), "neither is over while a command is under way");
    baker.go_on.add_permits(1);
    let reports: Vec<ShutdownReport> = soon(shutdowns.join_all()).await;
    assert!(reports.iter().all(ShutdownReport::is_clean));
    assert_eq!(bakery.state(), ApplicationState::Stopped);
    soon(under_way.join_all()).await.pop().unwrap().unwrap();
    assert!(soon(bakery.shutdown()).await.is_clean(), "and a third one has nothing to do");
}

#[tokio::test]
async fn a_shutdown_may_wait_for_ever() {
    let (_, bakery) = bakery(&Baker::new()).await;
    assert!(soon(bakery.shutdown_within(Duration::MAX)).await.is_clean());
}

// The limit of a shutdown is its own, also when another one is under way.
#[tokio::test(start_paused = true)]
async fn a_second_shutdown_keeps_its_own_deadline() {
    let baker = Baker::new();
    let (_, bakery) = bakery(&baker).await;
    let mut tasks = JoinSet::new();
    let dispatching = bakery.clone();
    tasks.spawn(async move { drop(dispatching.dispatch(Bake { id: 1 }).await) });
    baker.has_begun(1).await;
    let patient = bakery.clone();
    tasks.spawn(async move { drop(patient.shutdown_within(Duration::from_secs(3_600)).await) });
    until_not_running(|| bakery.state()).await;
    let began = Instant::now();
    let report = bakery.shutdown_within(Duration::from_secs(1)).await;
    assert!(began.elapsed() < Duration::from_millis(1_050), "{:?}", began.elapsed());
    assert_eq!(report.unfinished_dispatches, 1);
    baker.go_on.add_permits(1);
    soon(tasks.join_all()).await;
}
