//! Events that are delivered again, as after a crash: what the testing kit has handlers go through.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cqrs::MemoryStore;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use cqrs::testing::{redeliver_from, redeliver_last, settle};
use futures_util::FutureExt as _;

use super::domain::*;

async fn start(store: &MemoryStore, script: &Script) -> Desk {
    Desk::builder(store.clone()).event_handler(Careful(script.clone())).start().await.unwrap()
}

async fn message(redelivery: impl Future<Output = ()>) -> String {
    let failed = AssertUnwindSafe(redelivery).catch_unwind().await;
    *failed.unwrap_err().downcast::<String>().unwrap()
}

#[tokio::test]
async fn t_323_a_handler_gets_its_last_events_again() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = start(&store, &script).await;
    for text in ["1", "2", "3"] {
        desk.dispatch(note("a", text)).await.unwrap();
        desk.dispatch(Stamp { book: "a".to_owned() }).await.unwrap();
    }
    settle(&desk).await;
    assert_eq!(inbox.rest(), ["1", "2", "3"]);
    redeliver_last(&desk, "careful", 2).await;
    assert_eq!(inbox.rest(), ["2", "3"], "once, when it is awaited");
    redeliver_last(&desk, "careful", 9).await;
    assert_eq!(inbox.rest(), ["1", "2", "3"], "there are no more");
    redeliver_from(&desk, "careful", 3).await;
    assert_eq!(inbox.rest(), ["2", "3"]);
    redeliver_from(&desk, "careful", 4).await;
    assert_eq!(inbox.rest(), ["3"]);
    desk.dispatch(note("a", "4")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["4"], "and nothing else again");
    assert!(desk.shutdown().await.is_clean());
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(7));
    assert_eq!(store.records("careful", "order", None, 9).await.unwrap(), []);
}

#[derive(Clone)]
struct Divided(Script);

#[event_handler(name = "divided", interested_in = [Noted], partitions = 4)]
impl Divided {
    async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
        self.0.run(event.clone(), context.clone()).await
    }
}

/// Each partition goes back as far, and events of one key keep their order.
#[tokio::test]
async fn partitions_get_their_events_again() {
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(MemoryStore::new()).event_handler(Divided(script)).start().await.unwrap();
    for number in 0..40 {
        desk.dispatch(note(&(number % 10).to_string(), number.to_string())).await.unwrap();
    }
    settle(&desk).await;
    assert_eq!(inbox.positions().len(), 40);
    redeliver_last(&desk, "divided", 20).await;
    let again = inbox.positions();
    for book in 1..=10 {
        let of_book: Vec<_> = again.iter().filter(|position| *position % 10 == book % 10).collect();
        assert_eq!(of_book, [&(20 + book), &(30 + book)]);
    }
    assert_eq!(again.len(), 20);
    desk.shutdown().await;
}

/// What `before_reset` clears stays, so that a handler that is not idempotent shows.
#[tokio::test]
async fn nothing_is_cleared_before() {
    #[derive(Clone, Default)]
    struct Counting {
        notes: Arc<Mutex<Vec<String>>>,
        was_cleared: Arc<AtomicBool>,
    }

    #[event_handler(name = "counting", interested_in = [Noted])]
    impl Counting {
        async fn on_noted(&self, event: &Noted, _context: &EventContext) -> Result<(), Broken> {
            self.notes.lock().unwrap().push(event.text.clone());
            Ok(())
        }

        async fn before_reset(&self) -> Result<(), Broken> {
            self.was_cleared.store(true, Ordering::SeqCst);
            Ok(())
        }
    }

    let counting = Counting::default();
    let desk = Desk::builder(MemoryStore::new()).event_handler(counting.clone()).start().await.unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    redeliver_last(&desk, "counting", 1).await;
    assert_eq!(*counting.notes.lock().unwrap(), ["1", "1"]);
    assert!(!counting.was_cleared.load(Ordering::SeqCst));
    desk.shutdown().await;
}

#[tokio::test]
async fn what_cannot_come_again_fails_the_test() {
    let (script, _inbox) = Script::telling();
    let desk = start(&MemoryStore::new(), &script).await;
    let text = message(redeliver_last(&desk, "careful", 1)).await;
    assert!(text.contains("redelivery.rs") && text.contains("no such event has been handled"), "{text}");
    desk.dispatch(note("a", "1")).await.unwrap();
    let none = [
        message(redeliver_last(&desk, "careful", 0)).await,
        message(redeliver_from(&desk, "careful", 2)).await,
    ];
    assert!(none.iter().all(|text| text.contains("no such event has been handled")), "{none:?}");
    let text = message(redeliver_last(&desk, "nobody", 1)).await;
    assert!(text.contains("no event handler or publisher \"nobody\""), "{text}");
    desk.shutdown().await;
    let text = message(redeliver_last(&desk, "careful", 1)).await;
    assert!(text.contains("is stopped"), "{text}");
}

#[tokio::test]
async fn a_handler_that_fails_the_second_time_shows_why() {
    let is_second = AtomicBool::new(false);
    let script = Script::new(move |_, _| {
        let is_second = is_second.swap(true, Ordering::SeqCst);
        async move { if is_second { Err(Broken("known already")) } else { Ok(()) } }
    })
    .on_error(|_| ErrorAction::Stop);
    let desk = start(&MemoryStore::new(), &script).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    let text = message(redeliver_last(&desk, "careful", 1)).await;
    assert!(text.contains("were not handled again") && text.contains("known already"), "{text}");
    assert_eq!(status(&desk, "careful").await.state, HandlerState::Failed);
    desk.shutdown().await;
}
