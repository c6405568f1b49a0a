//! What a command inherits that a handler dispatches.

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::ambient::Ambient;
use cqrs::handler::HandlerState;
use cqrs::id::{CausationId, CorrelationId};
use cqrs::prelude::*;
use tokio::task::JoinSet;

/// Answers each note with one that counts one less, until 0.
fn counting_down(desk: &DeskLater) -> Script {
    let desk = desk.clone();
    Script::new(move |event, _| {
        let desk = desk.clone();
        async move {
            let count: u32 = event.text.parse().expect("a number");
            if let Some(less) = count.checked_sub(1) {
                desk.get().dispatch(note(&event.book, less.to_string())).await.expect("noted");
            }
            Ok(())
        }
    })
}

// T-084, T-085, T-086
#[tokio::test]
async fn t_086_correlation_goes_along_over_three_hops_and_causation_can_be_walked() {
    let store = MemoryStore::new();
    let later = DeskLater::default();
    let desk =
        Desk::builder(store.clone()).event_handler(Eager(counting_down(&later))).start().await.unwrap();
    later.set(&desk);
    let correlation_id = CorrelationId::new();
    let first = desk.dispatch(note("a", "3")).correlation_id(correlation_id).await.unwrap();
    until(async || (log(&store).await.len() == 4).then_some(())).await;

    let log = log(&store).await;
    assert!(log.iter().all(|event| event.correlation_id == correlation_id));
    assert_eq!(log[0].causation_id, first.command_id().into());
    assert_eq!(log[0].metadata.command_causation_id(), None, "nothing caused the first command");
    for pair in log.windows(2) {
        // T-085: the event is caused by its command, the command by the event before.
        assert_eq!(pair[1].metadata.command_causation_id(), Some(pair[0].event_id.into()));
        assert_ne!(pair[1].causation_id, pair[0].event_id.into());
        assert_ne!(pair[1].causation_id, pair[0].causation_id);
    }
    desk.shutdown().await;
}

#[tokio::test]
async fn t_080_outside_a_handler_nothing_is_inherited() {
    assert!(Ambient::current().is_none());
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).start().await.unwrap();
    let first = desk.dispatch(note("a", "1")).await.unwrap();
    let second = desk.dispatch(note("a", "2")).await.unwrap();
    assert_ne!(first.correlation_id(), second.correlation_id());
    assert!(log(&store).await.iter().all(|event| event.metadata.command_causation_id().is_none()));
    desk.shutdown().await;
}

// T-085: what the handler says itself counts more than what it inherits.
#[tokio::test]
async fn t_085_ids_that_a_handler_sets_win() {
    let store = MemoryStore::new();
    let later = DeskLater::default();
    let (place, correlation_id, causation_id) = (later.clone(), CorrelationId::new(), CausationId::new());
    let script = Script::new(move |event, _| {
        let desk = place.get();
        async move {
            if event.text == "question" {
                desk.dispatch(note("a", "answer"))
                    .correlation_id(correlation_id)
                    .causation_id(causation_id)
                    .await
                    .expect("noted");
            }
            Ok(())
        }
    });
    let desk = Desk::builder(store.clone()).event_handler(Eager(script)).start().await.unwrap();
    later.set(&desk);
    desk.dispatch(note("a", "question")).await.unwrap();
    until(async || (log(&store).await.len() == 2).then_some(())).await;
    let answer = &log(&store).await[1];
    assert_eq!(answer.correlation_id, correlation_id);
    assert_eq!(answer.metadata.command_causation_id(), Some(causation_id));
    desk.shutdown().await;
}

// T-084
#[tokio::test]
async fn t_084_a_task_that_a_handler_spawns_inherits_when_it_is_told_to() {
    let store = MemoryStore::new();
    let later = DeskLater::default();
    let place = later.clone();
    let script = Script::new(move |event, _| {
        let desk = place.get();
        async move {
            if event.text == "question" {
                let ambient = Ambient::current().expect("inside a handler");
                let mut tasks = JoinSet::new();
                let other = desk.clone();
                tasks.spawn(async move { other.dispatch(note("a", "stranger")).await.map(drop) });
                soon(tasks.join_next()).await.expect("a task").expect("no panic").expect("noted");
                tasks.spawn(
                    ambient.enter(async move { desk.dispatch(note("a", "relative")).await.map(drop) }),
                );
                soon(tasks.join_next()).await.expect("a task").expect("no panic").expect("noted");
            }
            Ok(())
        }
    });
    let desk = Desk::builder(store.clone()).event_handler(Eager(script)).start().await.unwrap();
    later.set(&desk);
    desk.dispatch(note("a", "question")).await.unwrap();
    until(async || (log(&store).await.len() == 3).then_some(())).await;
    let log = log(&store).await;
    assert_ne!(log[1].correlation_id, log[0].correlation_id);
    assert_eq!(log[2].correlation_id, log[0].correlation_id);
    assert_eq!(log[2].metadata.command_causation_id(), Some(log[0].event_id.into()));
    desk.shutdown().await;
}

application! {
    /// Another application with the same handler.
    pub struct Annex {
        routers: [],
        event_handlers: [Curious],
    }
}

/// Asks which application it is in.
#[derive(Default)]
pub struct Curious;

#[event_handler(name = "curious", interested_in = [Noted], consistency = strong)]
impl Curious {
    async fn on_noted(&self, _event: &Noted, context: &EventContext) {
        let found = (context.app::<Desk>().is_some(), context.app::<Annex>().is_some());
        assert_eq!(found, (false, true), "the annex is no desk");
    }
}

// G9: a handler gets at its own application and at no other.
#[tokio::test]
async fn a_handler_gets_at_its_own_application_alone() {
    let store = MemoryStore::new();
    write(&store, "annex-a", "desk.Noted", &[r#"{"book":"a","text":"1"}"#.to_owned()]).await;
    let annex = Annex::builder(store).start().await.unwrap();
    let status = until(async || {
        let status = annex.handlers().await.unwrap().remove(0);
        (status.lag == 0).then_some(status)
    })
    .await;
    assert_eq!((status.state, status.last_error), (HandlerState::Running, None));
    annex.shutdown().await;
}
