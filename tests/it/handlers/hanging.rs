//! Methods that do not end: they are cut off, and have failed. D11.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::application::{Config, StartError};
use cqrs::handler::{Envelope, HandlerError, HandlerState, InitError};
use cqrs::prelude::*;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);

/// Hangs at notes that say "hang" until the switch is set, and tells of the others.
fn hanging() -> (Script, Inbox, Arc<AtomicBool>) {
    let (telling, inbox) = Script::telling();
    let is_mended = Arc::new(AtomicBool::new(false));
    let mended = Arc::clone(&is_mended);
    let script = Script::new(move |event, context| {
        let hangs = event.text == "hang" && !mended.load(Ordering::SeqCst);
        let telling = telling.clone();
        async move {
            if hangs {
                pending::<()>().await;
            }
            telling.run(event, context).await
        }
    });
    (script, inbox, is_mended)
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_has_failed_after_a_minute_and_other_keys_go_on() {
    let (script, mut inbox, is_mended) = hanging();
    let script = script.on_error(|failure| {
        assert!(matches!(failure.error, HandlerError::TimedOut(MINUTE)), "{failure}");
        if failure.attempt < 3 { ErrorAction::Retry } else { ErrorAction::Park }
    });
    let desk = Desk::builder(MemoryStore::new()).event_handler(Careful(script)).start().await.unwrap();
    let began = Instant::now();
    for (book, text) in [("a", "1"), ("a", "hang"), ("b", "2"), ("a", "3")] {
        desk.dispatch(note(book, text)).await.unwrap();
    }
    let handler = desk.handler("careful").unwrap();
    let parked = async || handler.parked(None, 10).await.unwrap().pop();
    // Far longer than what waits in these tests may take: the clock stands still where nobody waits for it.
    let parked = loop {
        if let Some(parked) = parked().await {
            break parked;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert!((3 * MINUTE..3 * MINUTE + Duration::from_secs(5)).contains(&began.elapsed()));
    assert_eq!((parked.key.as_str(), parked.position, parked.attempts), ("book-a", 2, 3));
    assert_eq!(parked.error, "the handler took longer than 60s");
    until_caught_up(&desk, "careful").await;
    assert_eq!(inbox.rest(), ["1", "2"], "what waits behind it waits in order");
    is_mended.store(true, Ordering::SeqCst);
    handler.retry_parked("book-a").await.unwrap();
    until(async || (status(&desk, "careful").await.parked == 0).then_some(())).await;
    assert_eq!(inbox.rest(), ["hang", "3"]);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_limit_is_the_configured_one_and_less_is_left_alone() {
    let (telling, mut inbox) = Script::telling();
    let script = Script::new(move |event, context| {
        let (telling, millis) = (telling.clone(), event.text.parse().unwrap());
        async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            telling.run(event, context).await
        }
    });
    let script = script.on_error(|failure| {
        assert!(matches!(&failure.error, HandlerError::TimedOut(limit) if limit.as_millis() == 50));
        ErrorAction::Skip
    });
    let config = Config::new().handling_limit(Duration::from_millis(50));
    let builder = Desk::builder(MemoryStore::new()).config(config).event_handler(Careful(script));
    let desk = builder.start().await.unwrap();
    for millis in ["49", "51", "0", "5000", "48"] {
        desk.dispatch(note("a", millis)).consistency(Strong).await.unwrap();
    }
    assert_eq!(inbox.rest(), ["49", "0", "48"]);
    desk.shutdown().await;
}

/// Hangs at batches of several notes.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Vec<String>>>);

#[event_handler(name = "slow", events = NoteEvent, batch_size = 10)]
impl Slow {
    async fn on_batch(&self, events: &[Envelope<NoteEvent>]) -> Result<(), Broken> {
        if events.len() > 1 {
            pending::<()>().await;
        }
        let NoteEvent::Noted(event) = &events[0].event;
        self.0.lock().unwrap().push(event.text.clone());
        Ok(())
    }
}

#[derive(EventSet, Clone, Debug, PartialEq)]
enum NoteEvent {
    Noted(Noted),
}

#[tokio::test(start_paused = true)]
async fn events_of_a_batch_that_hangs_are_handled_one_by_one() {
    let store = MemoryStore::new();
    let texts: Vec<_> = (1..=4).map(stored_note).collect();
    write(&store, "book-raw", "desk.Noted", &texts).await;
    let slow = Slow::default();
    let config = Config::new().handling_limit(Duration::from_secs(5));
    let desk = Desk::builder(store).config(config).event_handler(slow.clone()).start().await.unwrap();
    until_caught_up(&desk, "slow").await;
    assert_eq!(*slow.0.lock().unwrap(), ["1", "2", "3", "4"]);
    desk.shutdown().await;
}

/// Hangs in the hook of this name.
#[derive(Clone)]
struct Hook(&'static str);

#[event_handler(name = "hook", interested_in = [Noted])]
impl Hook {
    async fn init(&self) -> Result<(), Broken> {
        self.enter("init").await
    }

    async fn after_start(&self, _: &StartContext) -> Result<(), Broken> {
        self.enter("after_start").await
    }

    async fn before_reset(&self) -> Result<(), Broken> {
        self.enter("before_reset").await
    }

    fn on_noted(&self, event: &Noted) -> Result<(), Broken> {
        if event.text == "bad" { Err(Broken("bad")) } else { Ok(()) }
    }

    async fn on_error(&self, _: &HandlerFailure<Broken>) -> ErrorAction {
        let _ = self.enter("on_error").await;
        ErrorAction::Skip
    }
}

impl Hook {
    async fn enter(&self, hook: &str) -> Result<(), Broken> {
        if hook == self.0 {
            pending::<()>().await;
        }
        Ok(())
    }
}

async fn start(hook: &'static str) -> Result<Desk, StartError> {
    let config = Config::new().handling_limit(Duration::from_secs(5));
    Desk::builder(MemoryStore::new()).config(config).event_handler(Hook(hook)).start().await
}

#[tokio::test(start_paused = true)]
async fn an_application_whose_handler_hangs_in_init_does_not_start() {
    let refused = soon(start("init")).await.unwrap_err();
    let StartError::Init { handler, source: InitError::TimedOut(limit), .. } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!((handler.as_str(), *limit), ("hook", Duration::from_secs(5)));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_in_after_start_is_retrying() {
    let desk = start("after_start").await.unwrap();
    let status = until_state(&desk, "hook", HandlerState::Retrying).await;
    assert_eq!(status.last_error.as_deref(), Some("after_start took longer than 5s"));
    assert!(desk.shutdown().await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_in_before_reset_is_not_reset() {
    let desk = start("before_reset").await.unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    until_caught_up(&desk, "hook").await;
    desk.handler("hook").unwrap().reset().await.unwrap();
    let told = until(async || status(&desk, "hook").await.last_error).await;
    assert_eq!(told, "before_reset took longer than 5s");
    assert_eq!(status(&desk, "hook").await.position, 1);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_in_on_error_stops() {
    let desk = start("on_error").await.unwrap();
    desk.dispatch(note("a", "bad")).await.unwrap();
    let status = until_state(&desk, "hook", HandlerState::Failed).await;
    assert_eq!((status.position, status.last_error.as_deref()), (0, Some("the handler failed: bad")));
    desk.shutdown().await;
}
