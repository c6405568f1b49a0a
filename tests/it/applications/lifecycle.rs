//! Instances of an application: their names, their beginning and their end.
//!
//! Dispatching before the start cannot be written down: there is no handle to dispatch with until `start()`
//! has given one.

use cqrs::MemoryStore;
use cqrs::application::{ApplicationState, Config, StartError};
use cqrs::handler::HandlerState;
use cqrs::id::CommandId;
use cqrs::prelude::*;
use cqrs::store::{BindError, CheckpointStore as _};

use super::faulty_store::{Call, Fault, FaultyStore};
use crate::handlers::domain::*;
use crate::support::gate::Gate;

// CA-001 (1)
#[tokio::test]
async fn ca_001_start_dispatch_and_the_handler_sees_the_event() {
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(MemoryStore::new()).event_handler(Careful(script)).start().await.unwrap();
    let dispatched = desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
    assert_eq!(dispatched.events(), [Noted { book: "a".into(), text: "x".into() }.into()]);
    let told = inbox.next().await;
    assert_eq!(told.event.text, "x");
    assert_eq!(Some(told.context.position()), dispatched.position());
    assert!(desk.shutdown().await.is_clean());
}

// T-002, T-010
#[tokio::test]
async fn t_010_one_name_runs_once_on_a_store() {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).start().await.unwrap();
    let again = Desk::builder(store.clone()).start().await;
    let Err(StartError::AlreadyRunning { application, .. }) = again else {
        panic!("{again:?}");
    };
    assert_eq!(application, "Desk");
    desk.dispatch(note("a", "still there")).await.unwrap();

    desk.shutdown().await;
    let next = Desk::builder(store).start().await.unwrap();
    assert_eq!(next.aggregate_state::<Book>("a").await.unwrap().version, 1);
    next.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t_010_of_many_starts_at_once_one_succeeds() {
    let store = MemoryStore::new();
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        starts.spawn(async move { Desk::builder(store).start().await });
    }
    let started: Vec<_> = soon(starts.join_all()).await.into_iter().filter_map(Result::ok).collect();
    assert_eq!(started.len(), 1);
    started[0].shutdown().await;
}

// T-009
#[tokio::test]
async fn t_009_an_instance_has_the_name_that_it_was_given() {
    let plain = Desk::builder(MemoryStore::new()).start().await.unwrap();
    let named = Desk::builder(MemoryStore::new()).name("tenant-1").start().await.unwrap();
    assert_eq!((plain.name(), named.name()), ("Desk", "tenant-1"));
    assert_eq!(named.health().await.unwrap().application, "tenant-1");
    plain.shutdown().await;
    named.shutdown().await;
}

// T-011, T-012
#[tokio::test]
async fn t_011_three_names_run_independently() {
    let stores = [MemoryStore::new(), MemoryStore::new(), MemoryStore::new()];
    let mut desks = Vec::new();
    for (at, store) in stores.iter().enumerate() {
        desks.push(Desk::builder(store.clone()).name(format!("app{at}")).start().await.unwrap());
    }
    desks[0].dispatch(note("a", "x")).await.unwrap();
    desks[1].shutdown().await;
    desks[2].dispatch(note("a", "y")).await.unwrap();
    desks[2].dispatch(note("a", "z")).await.unwrap();
    let mut lengths = Vec::new();
    for store in &stores {
        lengths.push(log(store).await.len());
    }
    assert_eq!(lengths, [1, 0, 2]);
    desks[0].shutdown().await;
    desks[2].shutdown().await;
}

#[tokio::test]
async fn two_nodes_of_one_name_share_a_store() {
    let store = MemoryStore::new();
    let first = Desk::builder(store.clone()).node("n-1").start().await.unwrap();
    let second = Desk::builder(store.clone()).node("n-2").start().await.unwrap();
    first.dispatch(note("a", "x")).await.unwrap();
    let dispatched = second.dispatch(note("a", "y")).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().notes), (2, 2));
    let same = Desk::builder(store).node("n-2").start().await;
    assert!(matches!(same, Err(StartError::AlreadyRunning { .. })), "{same:?}");
    first.shutdown().await;
    second.shutdown().await;
}

// CA-003 (6)
#[tokio::test]
async fn ca_003_a_store_belongs_to_the_application_that_used_it_first() {
    let store = MemoryStore::new();
    Desk::builder(store.clone()).name("first").start().await.unwrap().shutdown().await;
    let second = Desk::builder(store.clone()).name("second").start().await;
    let Err(StartError::Bind { application, source }) = second else {
        panic!("{second:?}");
    };
    assert_eq!(application, "second");
    assert!(matches!(source, BindError::OwnedByAnother { ref owner, .. } if owner == "first"), "{source}");
    // A start that was refused leaves nothing behind.
    Desk::builder(store).name("first").start().await.unwrap().shutdown().await;
}

// T-017, CA-001
#[tokio::test]
async fn t_017_a_clone_of_the_handle_to_a_stopped_application_gets_a_typed_error() {
    let desk = Desk::builder(MemoryStore::new()).start().await.unwrap();
    let clone = desk.clone();
    desk.shutdown().await;
    let error = clone.dispatch(note("a", "x")).await.unwrap_err();
    let DispatchError::NotRunning { application, state } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((application.as_str(), *state), ("Desk", ApplicationState::Stopped));
    assert_eq!(error.to_string(), r#"application "Desk" is stopped"#);
    let by_name = clone.dispatch_json("Note", serde_json::json!({ "book": "a", "text": "x" })).await;
    assert!(matches!(by_name, Err(DispatchError::NotRunning { .. })), "{by_name:?}");
}

#[tokio::test]
async fn when_the_last_handle_is_dropped_the_application_ends() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    let clone = desk.clone();
    drop(desk);
    clone.dispatch(note("a", "one handle is left")).consistency(Strong).await.unwrap();
    drop(clone);
    assert_eq!(inbox.rest(), ["one handle is left"]);
    // The handler's instance goes with its task: nobody can tell anything any more.
    soon(inbox.closed()).await;
    let desk = until(async || Desk::builder(store.clone()).start().await.ok()).await;
    assert_eq!(desk.aggregate_state::<Book>("a").await.unwrap().version, 1);
    desk.shutdown().await;
}

// G6: the next instance must not handle an event that a handler of the last one is still at.
#[tokio::test]
async fn the_name_stays_taken_until_the_last_handler_has_ended() {
    let store = MemoryStore::new();
    let gate = Gate::shut();
    let script = Script::new({
        let gate = gate.clone();
        move |_, _| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(())
            }
        }
    });
    let desk = Desk::builder(store.clone()).event_handler(Eager(script)).start().await.unwrap();
    desk.dispatch(note("a", "long")).await.unwrap();
    soon(gate.arrival()).await;
    drop(desk);
    let again = Desk::builder(store.clone()).start().await;
    assert!(matches!(again, Err(StartError::AlreadyRunning { .. })), "{again:?}");
    gate.open();
    let desk = until(async || Desk::builder(store.clone()).start().await.ok()).await;
    assert_eq!(store.checkpoint("eager").await.unwrap(), Some(1), "the event is not handled again");
    desk.shutdown().await;
}

// T-006
#[tokio::test]
async fn health_and_introspection() {
    let (script, _inbox) = Script::telling();
    let (other, _other_inbox) = Script::telling();
    let config = Config::new().tail_page(3);
    let desk = Desk::builder(MemoryStore::new())
        .name("seen")
        .config(config.clone())
        .event_handler(Careful(script))
        .event_handler(Eager(other))
        .start()
        .await
        .unwrap();
    desk.dispatch(note("b", "x")).consistency(Strong).await.unwrap();
    desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
    until_caught_up(&desk, "eager").await;

    let health = desk.health().await.unwrap();
    assert!(health.is_healthy(), "{health:?}");
    assert_eq!((health.application.as_str(), health.state), ("seen", ApplicationState::Running));
    assert_eq!((health.live_aggregates, health.dispatches), (2, 0));
    let handlers: Vec<_> = health
        .handlers
        .iter()
        .map(|handler| (handler.name.as_str(), handler.state, handler.position, handler.lag))
        .collect();
    let running = HandlerState::Running;
    assert_eq!(handlers, [("careful", running, 2, 0), ("eager", running, 2, 0)]);
    assert_eq!(desk.handlers().await.unwrap(), health.handlers);
    assert_eq!(desk.config(), &config);
    assert_eq!(desk.commands(), ["Leaf", "Note", "Stamp"]);
    assert!(desk.events().find("desk.Noted").is_some());
    assert!(desk.events().find("desk.Unheard").is_none());
    let live: Vec<_> = desk.live_aggregates().iter().map(|live| live.stream_id.to_string()).collect();
    assert_eq!(live, ["book-a", "book-b"]);
    assert_eq!(desk.store().head().await.unwrap(), 2);

    desk.shutdown().await;
    let health = desk.health().await.unwrap();
    assert!(!health.is_healthy());
    assert_eq!(health.state, ApplicationState::Stopped);
    assert!(health.handlers.iter().all(|handler| handler.state == HandlerState::Stopped));
}

// CA-001 (3): a store that is down at the start is a typed error, and the name is free again.
#[tokio::test]
async fn ca_001_a_start_without_a_store_fails_at_once() {
    let store = FaultyStore::default();
    let (script, _inbox) = Script::telling();
    let start = || Desk::builder(store.clone()).event_handler(Eager(script.clone())).start();
    for call in [Call::Bind, Call::Head, Call::Checkpoint] {
        store.fail(call, Fault::Unavailable, 1);
        let error = start().await.unwrap_err();
        match (call, &error) {
            (Call::Bind, StartError::Bind { .. }) | (_, StartError::Store { .. }) => {}
            _ => panic!("{call:?}: {error:?}"),
        }
    }
    start().await.unwrap().shutdown().await;
}

// A start that is given up leaves nothing behind.
#[tokio::test]
async fn a_start_that_is_dropped_frees_the_name() {
    let store = FaultyStore::default();
    store.fail(Call::Head, Fault::Hang, 1);
    let start = Desk::builder(store.clone()).start();
    let mut start = Box::pin(start);
    assert!(futures_poll(start.as_mut()).is_pending());
    drop(start);
    Desk::builder(store).start().await.unwrap().shutdown().await;
}

/// Polls once.
fn futures_poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

// CA-001 (2)
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ca_001_stop_and_start_again_loses_and_repeats_nothing() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let mut accepted = Vec::new();
    for run in 0..3 {
        let desk = Desk::builder(store.clone()).event_handler(Careful(script.clone())).start().await.unwrap();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..4 {
            let desk = desk.clone();
            writers.spawn(async move {
                let mut accepted = Vec::new();
                for at in 0.. {
                    let text = format!("{run}.{writer}.{at}");
                    match desk.dispatch(note(&writer.to_string(), &text)).command_id(CommandId::new()).await {
                        Ok(dispatched) => accepted.push((dispatched.position().unwrap(), text)),
                        Err(DispatchError::NotRunning { .. }) => break,
                        Err(error) => panic!("{error}"),
                    }
                }
                accepted
            });
        }
        until(async || (desk.store().head().await.unwrap() >= (run + 1) * 50).then_some(())).await;
        assert!(desk.shutdown().await.is_clean());
        accepted.extend(soon(writers.join_all()).await.into_iter().flatten());
        assert!(store.checkpoint("careful").await.unwrap().is_some());
    }
    accepted.sort_unstable();
    let expected: Vec<_> = accepted.into_iter().map(|(_, text)| text).collect();
    let stored: Vec<String> = log(&store)
        .await
        .iter()
        .map(|event| serde_json::from_slice::<Noted>(&event.data).unwrap().text)
        .collect();
    assert_eq!(stored, expected, "what was accepted is stored, and nothing else");
    let desk = Desk::builder(store).event_handler(Careful(script)).start().await.unwrap();
    until_caught_up(&desk, "careful").await;
    desk.shutdown().await;
    assert_eq!(inbox.rest(), expected);
}
