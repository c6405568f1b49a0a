//! What a dispatch waits for, and what it says when that does not come.

use std::sync::Arc;
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::dispatch::Consistency;
use cqrs::handler::{HandlerState, HandlerStatus};
use cqrs::prelude::*;
use cqrs::store::EventStore as _;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::handlers::domain::*;

fn handlers<const N: usize>(names: [&'static str; N]) -> Consistency {
    Consistency::Handlers(names.map(Into::into).to_vec())
}

/// Takes this long for each note, then tells.
fn taking(time: Duration) -> (Script, mpsc::Receiver<String>) {
    let (told, texts) = mpsc::channel(100);
    let script = Script::new(move |event, _| {
        let told = told.clone();
        async move {
            tokio::time::sleep(time).await;
            told.send(event.text).await.map_err(|_| Broken("nobody listens"))
        }
    });
    (script, texts)
}

/// Waits for the gate at each note.
fn gated() -> (Script, Arc<Notify>) {
    let gate = Arc::new(Notify::new());
    let inner = Arc::clone(&gate);
    let script = Script::new(move |_, _| {
        let gate = Arc::clone(&inner);
        async move {
            gate.notified().await;
            Ok(())
        }
    });
    (script, gate)
}

async fn desk(handler: impl EventHandler) -> (MemoryStore, Desk) {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).event_handler(handler).start().await.unwrap();
    (store, desk)
}

// N-004, DEF-004
#[tokio::test(start_paused = true)]
async fn n_004_a_strong_dispatch_comes_back_when_the_handler_has_handled() {
    let (script, mut texts) = taking(Duration::from_millis(300));
    let (_, desk) = desk(Careful(script)).await;
    let began = Instant::now();
    desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(texts.try_recv().unwrap(), "x");

    let began = Instant::now();
    desk.dispatch(note("a", "y")).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(300), "an eventual one does not wait");
    desk.shutdown().await;
}

// N-005, DEF-005
#[tokio::test(start_paused = true)]
async fn n_005_waiting_for_a_named_handler_takes_as_long_as_the_handler() {
    let (script, mut texts) = taking(Duration::from_millis(300));
    let (_, desk) = desk(Eager(script)).await;
    let began = Instant::now();
    desk.dispatch(note("a", "x")).consistency(handlers(["eager"])).await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(350), "{took:?}");
    assert_eq!(texts.try_recv().unwrap(), "x");
    desk.shutdown().await;
}

// T-091
#[tokio::test(start_paused = true)]
async fn t_091_what_is_not_handled_in_time_is_committed_all_the_same() {
    let (script, gate) = gated();
    let (store, desk) = desk(Careful(script)).await;
    let began = Instant::now();
    let error = desk
        .dispatch(note("a", "x"))
        .consistency(Strong)
        .consistency_timeout(Duration::from_millis(200))
        .await
        .unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_millis(250));
    assert!(error.is_committed() && !error.is_outcome_unknown(), "{error}");
    assert!(error.to_string().contains("is committed") && error.to_string().contains("careful"), "{error}");
    let DispatchError::NotHandled { outcome, pending } = error else {
        panic!("{error:?}");
    };
    assert_eq!((outcome.version, outcome.position), (1, Some(1)));
    assert_eq!(outcome.event_types, ["desk.Noted"]);
    assert_eq!(pending.len(), 1);
    assert_eq!(
        (pending[0].handler.as_str(), pending[0].position, pending[0].state),
        ("careful", 0, HandlerState::Running)
    );
    assert_eq!(log(&store).await.len(), 1);
    gate.notify_one();
    until_caught_up(&desk, "careful").await;
    desk.shutdown().await;
}

// T-092
#[tokio::test]
async fn t_092_a_command_without_events_waits_for_nobody() {
    let (script, _gate) = gated();
    let (_, desk) = desk(Careful(script)).await;
    desk.dispatch(note("a", "held up")).await.unwrap();
    let dispatched =
        soon(async { desk.dispatch(Leaf { book: "a".into() }).consistency(Strong).await }).await.unwrap();
    assert_eq!((dispatched.position(), dispatched.version()), (None, 1));
    desk.shutdown_within(Duration::from_millis(20)).await;
}

/// Dispatches another note for each one, until "0", and waits for its handlers.
fn passing_on(later: &DeskLater, limit: Duration) -> Script {
    let later = later.clone();
    Script::new(move |event, _| {
        let later = later.clone();
        async move {
            let count: u32 = event.text.parse().expect("a number");
            let Some(less) = count.checked_sub(1) else {
                return Ok(());
            };
            let dispatched = later
                .get()
                .dispatch(note(&event.book, less.to_string()))
                .consistency(Strong)
                .consistency_timeout(limit)
                .await;
            dispatched.map(drop).map_err(|_| Broken("the nested dispatch failed"))
        }
    })
    .on_error(|_| ErrorAction::Stop)
}

// T-102, T-093, L-012
#[tokio::test]
async fn t_093_a_strong_handler_that_dispatches_strong_does_not_wait_for_itself() {
    let later = DeskLater::default();
    let (store, desk) = desk(Careful(passing_on(&later, LIMIT))).await;
    later.set(&desk);
    soon(async { desk.dispatch(note("a", "3")).consistency(Strong).await }).await.unwrap();
    until_caught_up(&desk, "careful").await;
    assert_eq!(log(&store).await.len(), 4);
    assert_eq!(status(&desk, "careful").await.state, HandlerState::Running);
    desk.shutdown().await;
}

// L-012: the same where it names itself.
#[tokio::test]
async fn l_012_a_handler_that_names_itself_does_not_wait_for_itself() {
    let later = DeskLater::default();
    let place = later.clone();
    let script = Script::new(move |event, _| {
        let desk = place.get();
        async move {
            if event.text == "first" {
                let second = desk.dispatch(note("a", "second")).consistency(handlers(["eager"]));
                second.await.map_err(|_| Broken("it waited"))?;
            }
            Ok(())
        }
    })
    .on_error(|_| ErrorAction::Stop);
    let (_, desk) = desk(Eager(script)).await;
    later.set(&desk);
    soon(async { desk.dispatch(note("a", "first")).consistency(handlers(["eager"])).await }).await.unwrap();
    until_caught_up(&desk, "eager").await;
    desk.shutdown().await;
}

// T-094: another strong handler that the nested dispatch waits for is slow.
#[tokio::test(start_paused = true)]
async fn t_094_a_slow_nested_dispatch_uses_up_the_outer_one_s_patience() {
    let later = DeskLater::default();
    let (slow, _texts) = taking(Duration::from_secs(60));
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone())
        .event_handler_as("passing-on", Careful(passing_on(&later, Duration::from_secs(600))))
        .event_handler_as("slow", Careful(slow))
        .start()
        .await
        .unwrap();
    later.set(&desk);
    let error = desk
        .dispatch(note("a", "1"))
        .consistency(handlers(["passing-on"]))
        .consistency_timeout(Duration::from_secs(1))
        .await
        .unwrap_err();
    assert!(error.is_committed(), "{error}");
    assert_eq!(log(&store).await.len(), 2);
    desk.shutdown_within(Duration::from_secs(1)).await;
}

// T-096
#[tokio::test]
async fn t_096_a_strong_dispatch_knows_its_stream_by_prefix_and_identity() {
    let (script, mut inbox) = Script::telling();
    let (store, desk) = desk(Careful(script)).await;
    let dispatched = desk.dispatch(note("x-1", "text")).consistency(Strong).await.unwrap();
    assert_eq!((dispatched.stream_id().as_str(), dispatched.aggregate_id()), ("book-x-1", "x-1"));
    assert_eq!(inbox.rest(), ["text"]);
    let stream =
        store.read_stream(dispatched.stream_id(), 1, cqrs::store::Direction::Forward, 10).await.unwrap();
    assert_eq!(stream.len(), 1);
    desk.shutdown().await;
}

// T-098
#[tokio::test]
async fn t_098_a_strong_dispatch_waits_for_strong_handlers_only() {
    let store = MemoryStore::new();
    let (never, _gate) = gated();
    let (first, mut firsts) = Script::telling();
    let (second, mut seconds) = Script::telling();
    let desk = Desk::builder(store)
        .event_handler_as("first", Careful(first))
        .event_handler_as("eventual", Eager(never))
        .event_handler_as("second", Careful(second))
        .start()
        .await
        .unwrap();
    soon(async { desk.dispatch(note("a", "x")).consistency(Strong).await }).await.unwrap();
    assert_eq!((firsts.rest().len(), seconds.rest().len()), (1, 1));
    desk.shutdown_within(Duration::from_millis(20)).await;
}

// T-101
#[tokio::test(start_paused = true)]
async fn t_101_every_strong_handler_is_waited_for() {
    let (slow, gate) = gated();
    let (quick, mut inbox) = Script::telling();
    let desk = Desk::builder(MemoryStore::new())
        .event_handler_as("quick", Careful(quick))
        .event_handler_as("slow", Careful(slow))
        .start()
        .await
        .unwrap();
    let error = desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap_err();
    let DispatchError::NotHandled { pending, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(pending.iter().map(|pending| pending.handler.as_str()).collect::<Vec<_>>(), ["slow"]);
    assert_eq!(inbox.rest(), ["x"]);
    gate.notify_one();
    until_caught_up(&desk, "slow").await;
    desk.shutdown().await;
}

// T-103, E-068
#[tokio::test]
async fn t_103_without_handlers_there_is_nothing_to_wait_for() {
    let desk = Desk::builder(MemoryStore::new()).start().await.unwrap();
    soon(async { desk.dispatch(note("a", "x")).consistency(Strong).await }).await.unwrap();
    soon(async { desk.dispatch(note("a", "y")).consistency(handlers([])).await }).await.unwrap();
    desk.shutdown().await;
}

// T-104
#[tokio::test(start_paused = true)]
async fn t_104_only_the_named_handlers_are_waited_for_each_of_them() {
    let (first, first_gate) = gated();
    let (second, second_gate) = gated();
    let (third, _third_gate) = gated();
    let desk = Desk::builder(MemoryStore::new())
        .event_handler_as("first", Eager(first))
        .event_handler_as("second", Eager(second))
        .event_handler_as("third", Careful(third))
        .start()
        .await
        .unwrap();
    first_gate.notify_one();
    second_gate.notify_one();
    desk.dispatch(note("a", "1")).consistency(handlers(["first", "second"])).await.unwrap();
    first_gate.notify_one();
    let error = desk.dispatch(note("a", "2")).consistency(handlers(["first", "second"])).await.unwrap_err();
    let DispatchError::NotHandled { pending, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].handler, "second");
    desk.shutdown_within(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn t_104_a_handler_that_does_not_exist_cannot_be_waited_for() {
    let (script, _inbox) = Script::telling();
    let (store, desk) = desk(Careful(script)).await;
    let error =
        desk.dispatch(note("a", "x")).consistency(handlers(["careful", "no-such"])).await.unwrap_err();
    let DispatchError::UnknownHandler { application, handler } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((application.as_str(), handler.as_str()), ("Desk", "no-such"));
    assert!(!error.is_committed());
    assert_eq!(log(&store).await.len(), 0, "an error that does not say so means that nothing is stored");
    desk.shutdown().await;
}

// T-108, T-111
#[tokio::test]
async fn t_111_handlers_that_are_not_interested_are_not_waited_for() {
    let (script, _gate) = gated();
    let (_, desk) = desk(Careful(script)).await;
    // It is busy with a note, and will be for ever; stamps are none of its business.
    desk.dispatch(note("a", "held up")).await.unwrap();
    soon(async { desk.dispatch(Stamp { book: "b".into() }).consistency(Strong).await }).await.unwrap();
    soon(async { desk.dispatch(Stamp { book: "b".into() }).consistency(handlers(["careful"])).await })
        .await
        .unwrap();
    desk.shutdown_within(Duration::from_millis(20)).await;
}

// T-109, L-014
#[tokio::test(start_paused = true)]
async fn t_109_a_handler_that_has_failed_ends_the_wait_at_once() {
    let failing =
        Script::new(|_, _| std::future::ready(Err(Broken("broken")))).on_error(|_| ErrorAction::Stop);
    let (_, desk) = desk(Careful(failing)).await;
    for _ in 0..2 {
        // The first dispatch meets a handler that fails meanwhile, the second one that has failed.
        let began = Instant::now();
        let error = desk
            .dispatch(note("a", "x"))
            .consistency(Strong)
            .consistency_timeout(Duration::from_secs(3_600))
            .await
            .unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        let DispatchError::NotHandled { pending, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(pending[0].state, HandlerState::Failed);
        assert!(error.to_string().contains("careful (failed)"), "{error}");
    }
    let HandlerStatus { last_error, .. } = status(&desk, "careful").await;
    assert!(last_error.unwrap().contains("broken"));
    desk.shutdown().await;
}

// A repetition waits like the first time: the caller wants to read what it wrote.
#[tokio::test]
async fn t_091_a_repeated_command_waits_as_well() {
    let (script, gate) = gated();
    let (_, desk) = desk(Careful(script)).await;
    desk.dispatch(note("a", "x")).idempotency_key("once").await.unwrap();
    let error = desk
        .dispatch(note("a", "x"))
        .idempotency_key("once")
        .consistency(Strong)
        .consistency_timeout(Duration::ZERO)
        .await
        .unwrap_err();
    assert!(error.is_committed(), "{error}");
    gate.notify_one();
    let repeated = desk.dispatch(note("a", "x")).idempotency_key("once").consistency(Strong).await.unwrap();
    assert!(repeated.is_repeated());
    assert_eq!(status(&desk, "careful").await.position, 1);
    desk.shutdown().await;
}
