//! A handler goes on where it had come to.

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::application::{ApplicationState, Config};
use cqrs::dispatch::Consistency;
use cqrs::id::NodeId;
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, LeaseStore as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

// C-037, G6, T-239, T-241, T-279, N-015, DEF-012
#[tokio::test]
async fn n_015_a_clean_stop_repeats_nothing_and_skips_nothing() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let builder = || Desk::builder(store.clone()).event_handler(Careful(script.clone()));
    let mut expected = Vec::new();
    for run in 0..5 {
        let desk = builder().start().await.unwrap();
        for at in 0..20 {
            let text = format!("{run}.{at}");
            desk.dispatch(note("a", &text)).await.unwrap();
            expected.push(text);
        }
        // Not all is handled by now: what is left comes in the next run.
        assert!(desk.shutdown().await.is_clean());
    }
    let desk = builder().start().await.unwrap();
    assert_eq!(inbox.texts(100).await, expected);
    desk.dispatch(note("a", "last")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["last"], "nothing is repeated");
    desk.shutdown().await;
}

// T-334, G6
#[tokio::test]
async fn t_334_a_stop_lets_the_handler_finish_its_event() {
    let store = MemoryStore::new();
    let (began, mut begun) = mpsc::channel(10);
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let script = Script::new(move |event, _| {
        let (began, gate) = (began.clone(), Arc::clone(&gate));
        async move {
            began.send(event.text).await.expect("the test listens");
            gate.notified().await;
            Ok(())
        }
    });
    let builder = || Desk::builder(store.clone()).event_handler(Eager(script.clone()));
    let desk = builder().start().await.unwrap();
    for text in ["1", "2"] {
        desk.dispatch(note("a", text)).await.unwrap();
    }
    assert_eq!(soon(begun.recv()).await.unwrap(), "1");
    let (report, ()) = soon(async {
        tokio::join!(desk.shutdown(), async {
            until(async || (desk.state() != ApplicationState::Running).then_some(())).await;
            go_on.notify_one();
        })
    })
    .await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(store.checkpoint("eager").await.unwrap(), Some(1));
    assert!(begun.try_recv().is_err(), "the next event is left for the next start");

    let desk = builder().start().await.unwrap();
    assert_eq!(soon(begun.recv()).await.unwrap(), "2", "the first is not repeated");
    go_on.notify_one();
    until_caught_up(&desk, "eager").await;
    desk.shutdown().await;
}

/// E-073
#[tokio::test]
async fn n_015_events_that_nobody_wants_advance_the_checkpoint() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Eager(script)).start().await.unwrap();
    desk.dispatch(note("a", "wanted")).await.unwrap();
    for _ in 0..9 {
        desk.dispatch(Stamp { book: "a".into() }).await.unwrap();
    }
    let status = until_caught_up(&desk, "eager").await;
    assert_eq!((status.position, status.lag), (10, 0));
    desk.shutdown().await;
    assert_eq!(store.checkpoint("eager").await.unwrap(), Some(10));
    assert_eq!(inbox.rest(), ["wanted"]);
}

// G6: a crash repeats what came after the last checkpoint, and loses nothing.
#[tokio::test]
async fn g6_a_handler_that_was_cut_off_begins_at_its_last_checkpoint() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Eager(script.clone())).start().await.unwrap();
    for text in ["1", "2", "3"] {
        desk.dispatch(note("a", text)).consistency(eager()).await.unwrap();
    }
    desk.shutdown().await;
    assert_eq!(inbox.rest(), ["1", "2", "3"]);
    // As if the process had died before the last two were noted down.
    store.delete_checkpoint("eager").await.unwrap();
    let epoch = store.acquire_lease("eager", NodeId::new(), Duration::ZERO).await.unwrap().unwrap();
    store.save_checkpoint("eager", 1, epoch).await.unwrap();
    let desk = Desk::builder(store).event_handler(Eager(script)).start().await.unwrap();
    assert_eq!(inbox.texts(2).await, ["2", "3"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn g6_a_busy_handler_saves_its_checkpoint_on_the_way() {
    let store = MemoryStore::new();
    let seen = store.clone();
    let script = Script::new(move |_, context: EventContext| {
        let store = seen.clone();
        async move {
            let saved = store.checkpoint("eager").await.expect("the store answers");
            // Every second position is saved, so that the one before the last always is.
            assert!(saved.unwrap_or(0) + 2 >= context.position(), "{saved:?} at {}", context.position());
            Ok(())
        }
    })
    .on_error(|_| ErrorAction::Stop);
    let notes: Vec<_> = (0..100).map(stored_note).collect();
    write(&store, "raw-1", "desk.Noted", &notes).await;
    let desk = Desk::builder(store.clone())
        .config(Config::new().checkpoint_every(2))
        .event_handler(Eager(script))
        .start()
        .await
        .unwrap();
    let status = until_caught_up(&desk, "eager").await;
    assert_eq!(status.last_error, None);
    desk.shutdown().await;
    assert_eq!(store.checkpoint("eager").await.unwrap(), Some(100));
}

fn eager() -> Consistency {
    Consistency::Handlers(vec!["eager".into()])
}

// R-029, C-039: a handler that only foreign events pass by is carried along, and that is saved too.
#[tokio::test(start_paused = true)]
async fn c_039_a_handler_that_nothing_wakes_saves_how_far_it_was_carried() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    let foreign: Vec<_> = (0..500).map(|_| "{}".to_owned()).collect();
    write(&store, "elsewhere-1", "nobody.Knows", &foreign).await;
    // Not a stop, and not an event for it: the checkpoint moves by itself.
    until(async || (store.checkpoint("careful").await.unwrap() == Some(500)).then_some(())).await;
    assert_eq!(inbox.rest(), [""; 0]);
    drop(desk);
}
