//! Pausing, resuming and resetting a handler, from any node.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::domain::*;
use crate::applications::faulty_store::{Call, Fault, FaultyStore};
use cqrs::MemoryStore;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, LeaseStore as _};

async fn start(store: &MemoryStore, script: &Script) -> Desk {
    Desk::builder(store.clone()).event_handler(Careful(script.clone())).start().await.unwrap()
}

async fn start_second(store: &MemoryStore, script: &Script) -> Desk {
    let careful = Careful(script.clone());
    Desk::builder(store.clone()).node("second").event_handler(careful).start().await.unwrap()
}

async fn pause(desk: &Desk, owner: &Desk) {
    desk.handler("careful").unwrap().pause().await.unwrap();
    until_state(owner, "careful", HandlerState::Paused).await;
}

#[tokio::test]
async fn a_paused_handler_goes_on_where_it_was() {
    let (script, mut inbox) = Script::telling();
    let desk = start(&MemoryStore::new(), &script).await;
    desk.dispatch(note("a", "1")).consistency(Strong).await.unwrap();
    pause(&desk, &desk).await;
    // Whoever waits for it is told at once.
    let error = desk.dispatch(note("a", "2")).consistency(Strong).await.unwrap_err();
    let DispatchError::NotHandled { pending, .. } = error else { panic!("{error:?}") };
    assert_eq!((pending[0].position, pending[0].state), (1, HandlerState::Paused));
    desk.dispatch(note("b", "3")).await.unwrap();
    assert_eq!(inbox.rest(), ["1"]);
    desk.handler("careful").unwrap().resume().await.unwrap();
    assert_eq!(inbox.texts(2).await, ["2", "3"]);
    desk.dispatch(note("a", "4")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["4"]);
    desk.handler("careful").unwrap().resume().await.unwrap();
    desk.dispatch(note("a", "5")).consistency(Strong).await.unwrap();
    desk.shutdown().await;
}

#[tokio::test]
async fn a_pause_outlives_the_application() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = start(&store, &script).await;
    pause(&desk, &desk).await;
    assert!(desk.shutdown().await.is_clean());
    let desk = start(&store, &script).await;
    until_state(&desk, "careful", HandlerState::Paused).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    assert_eq!(inbox.rest(), [""; 0]);
    desk.handler("careful").unwrap().resume().await.unwrap();
    assert_eq!(inbox.texts(1).await, ["1"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_handler_is_paused_and_resumed_from_another_node() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let owner = start(&store, &script).await;
    let other = start_second(&store, &script).await;
    pause(&other, &owner).await;
    other.dispatch(note("a", "1")).await.unwrap();
    // The pause goes with the handler.
    owner.shutdown().await;
    until_state(&other, "careful", HandlerState::Paused).await;
    let owner = start(&store, &script).await;
    assert_eq!(inbox.rest(), [""; 0]);
    owner.handler("careful").unwrap().resume().await.unwrap();
    assert_eq!(inbox.texts(1).await, ["1"]);
    other.shutdown().await;
    owner.shutdown().await;
}

/// Whoever waits on a node that does not run it is told at once, too, and not when it goes on.
#[tokio::test]
async fn a_pause_is_told_on_every_node() {
    let store = MemoryStore::new();
    let (script, _inbox) = Script::telling();
    let owner = start(&store, &script).await;
    let other = start_second(&store, &script).await;
    for round in 1..=3_u64 {
        pause(&other, &owner).await;
        let waits = other.dispatch(note("a", "1")).consistency(Strong).no_timeout();
        let error = soon(waits.into_future()).await.unwrap_err();
        let DispatchError::NotHandled { pending, .. } = error else { panic!("{error:?}") };
        assert_eq!((pending[0].position, pending[0].state), (2 * (round - 1), HandlerState::Paused));
        other.handler("careful").unwrap().resume().await.unwrap();
        soon(other.dispatch(note("a", "2")).consistency(Strong).into_future()).await.unwrap();
    }
    owner.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn t_330_a_handler_that_is_reset_begins_anew() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = start(&store, &script).await;
    for text in ["1", "2", "3"] {
        desk.dispatch(note("a", text)).consistency(Strong).await.unwrap();
    }
    assert_eq!(inbox.rest(), ["1", "2", "3"]);
    let handler = desk.handler("careful").unwrap();
    handler.reset().await.unwrap();
    assert_eq!(inbox.texts(3).await, ["1", "2", "3"]);
    handler.reset_to(2).await.unwrap();
    assert_eq!(inbox.texts(1).await, ["3"]);
    desk.dispatch(note("a", "4")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["4"], "and nothing else again");
    assert!(desk.shutdown().await.is_clean());
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(4));
}

#[tokio::test]
async fn t_330_a_handler_of_the_present_begins_at_the_present_when_it_is_reset() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Newcomer(script)).start().await.unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    assert_eq!(inbox.texts(1).await, ["1"]);
    let handler = desk.handler("newcomer").unwrap();
    handler.pause().await.unwrap();
    until_state(&desk, "newcomer", HandlerState::Paused).await;
    desk.dispatch(note("a", "2")).await.unwrap();
    handler.reset().await.unwrap();
    until(async || store.records("newcomer", "order", None, 9).await.unwrap().get(1).is_none().then_some(()))
        .await;
    assert_eq!(status(&desk, "newcomer").await.state, HandlerState::Paused, "it is paused still");
    handler.resume().await.unwrap();
    desk.dispatch(note("a", "3")).await.unwrap();
    assert_eq!(inbox.texts(1).await, ["3"], "what came before is not handled");
    desk.shutdown().await;
}

/// What is parked and what was noted down of effects belongs to what is forgotten.
#[tokio::test]
async fn a_reset_forgets_what_is_parked_and_which_effects_were_made() {
    let store = MemoryStore::new();
    let (told, mut made) = tokio::sync::mpsc::channel(10);
    let script = Script::new(move |event, context| {
        let told = told.clone();
        async move {
            let make = || {
                told.try_send(event.text.clone()).unwrap();
                std::future::ready(Ok::<_, Broken>(()))
            };
            context.once("make", make).await.unwrap();
            Err(Broken("on purpose"))
        }
    })
    .on_error(|_| ErrorAction::Park);
    let desk = start(&store, &script).await;
    desk.dispatch(note("a", "1")).consistency(Strong).await.unwrap_err();
    let handler = desk.handler("careful").unwrap();
    for _ in 0..2 {
        assert_eq!(soon(made.recv()).await.unwrap(), "1");
        until(async || (handler.status().await.unwrap().parked == 1).then_some(())).await;
        handler.reset().await.unwrap();
    }
    assert_eq!(soon(made.recv()).await.unwrap(), "1");
    until(async || (handler.status().await.unwrap().parked == 1).then_some(())).await;
    assert_eq!(store.records("careful", "effect", None, 9).await.unwrap().len(), 1);
    assert_eq!(store.records("careful", "order", None, 9).await.unwrap(), []);
    desk.shutdown().await;
}

/// A log that was put back to an earlier state gives positions again that were handled as other events: who would go
/// on would pass over the new ones.
#[tokio::test]
async fn pg_122_a_handler_that_is_ahead_of_the_log_stops_until_it_is_reset() {
    let store = MemoryStore::new();
    let save = async |position| {
        let node = cqrs::id::NodeId::new();
        let epoch = store.acquire_lease("careful", node, std::time::Duration::ZERO).await.unwrap().unwrap();
        store.save_checkpoint("careful", position, epoch).await.unwrap();
    };
    save(3).await;
    let (script, mut inbox) = Script::telling();
    let (other, mut others) = Script::telling();
    let start = async || {
        let builder = Desk::builder(store.clone()).event_handler(Careful(script.clone()));
        builder.event_handler(Eager(other.clone())).start().await.unwrap()
    };
    let desk = start().await;
    let failed = until_state(&desk, "careful", HandlerState::Failed).await;
    let error = failed.last_error.unwrap();
    assert!(error.contains("is 3, but the log ends at 0: its history has diverged"), "{error}");
    for text in ["1", "2", "3", "4"] {
        desk.dispatch(note("a", text)).await.unwrap();
    }
    assert_eq!(others.texts(4).await, ["1", "2", "3", "4"], "other handlers go on");
    desk.shutdown().await;
    assert_eq!(inbox.rest(), [""; 0]);
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(3));
    save(9).await;

    let desk = start().await;
    until_state(&desk, "careful", HandlerState::Failed).await;
    desk.handler("careful").unwrap().reset().await.unwrap();
    desk.shutdown().await;
    let desk = start().await;
    assert_eq!(inbox.texts(4).await, ["1", "2", "3", "4"], "nothing was passed over");
    desk.dispatch(note("a", "5")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["5"]);
    desk.shutdown().await;
}

/// Counts what it is told, and forgets it before it begins anew, unless it is to keep it.
struct Counter {
    counts: Arc<Mutex<Vec<String>>>,
    keeps: bool,
}

#[event_handler(name = "counter", interested_in = [Noted], consistency = strong)]
impl Counter {
    fn on_noted(&self, event: &Noted) -> Result<(), Broken> {
        self.counts.lock().unwrap().push(event.text.clone());
        Ok(())
    }

    async fn before_reset(&self) -> Result<(), Broken> {
        self.counts.lock().unwrap().push("reset".to_owned());
        if self.keeps { Err(Broken("it is kept")) } else { Ok(()) }
    }
}

#[tokio::test]
async fn t_330_before_reset_is_called_and_may_refuse() {
    for keeps in [false, true] {
        let counts = Arc::new(Mutex::new(Vec::new()));
        let counter = Counter { counts: Arc::clone(&counts), keeps };
        let desk = Desk::builder(MemoryStore::new()).event_handler(counter).start().await.unwrap();
        desk.dispatch(note("a", "1")).consistency(Strong).await.unwrap();
        let handler = desk.handler("counter").unwrap();
        handler.reset().await.unwrap();
        until(async || counts.lock().unwrap().contains(&"reset".to_owned()).then_some(())).await;
        desk.dispatch(note("a", "2")).consistency(Strong).await.unwrap();
        let expected: &[_] = if keeps { &["1", "reset", "2"] } else { &["1", "reset", "1", "2"] };
        assert_eq!(*counts.lock().unwrap(), expected);
        let status = handler.status().await.unwrap();
        assert_eq!(status.state, HandlerState::Running);
        assert_eq!(status.last_error.is_some_and(|error| error.contains("it is kept")), keeps);
        desk.shutdown().await;
    }
}

/// Long before the event would be tried again.
#[tokio::test]
async fn t_297_a_pause_or_a_reset_does_not_wait_for_a_backoff() {
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let script = Script::new(move |_, _| {
        let is_mended = mended.load(Ordering::SeqCst);
        std::future::ready(if is_mended { Ok(()) } else { Err(Broken("on purpose")) })
    })
    .on_error(|_| ErrorAction::RetryAfter(std::time::Duration::from_secs(24 * 3_600)));
    let desk = start(&MemoryStore::new(), &script).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    until_state(&desk, "careful", HandlerState::Retrying).await;
    pause(&desk, &desk).await;
    let handler = desk.handler("careful").unwrap();
    handler.resume().await.unwrap();
    until_state(&desk, "careful", HandlerState::Retrying).await;
    is_mended.store(true, Ordering::SeqCst);
    handler.reset().await.unwrap();
    until_caught_up(&desk, "careful").await;
    desk.shutdown().await;
}

/// A store that fails when the orders are read is asked again.
#[tokio::test(start_paused = true)]
async fn an_order_is_not_forgotten_when_the_store_fails() {
    let store = FaultyStore::default();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    desk.dispatch(note("a", "1")).consistency(Strong).await.unwrap();
    store.fail(Call::Records, Fault::Unavailable, 3);
    desk.handler("careful").unwrap().pause().await.unwrap();
    until_state(&desk, "careful", HandlerState::Paused).await;
    store.fail(Call::Records, Fault::Unavailable, 3);
    desk.handler("careful").unwrap().resume().await.unwrap();
    desk.dispatch(note("a", "2")).await.unwrap();
    assert_eq!(inbox.texts(2).await, ["1", "2"]);
    desk.shutdown().await;
}
