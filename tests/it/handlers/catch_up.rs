//! Handlers that are behind, and the seam between what was and what comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::prelude::*;
use cqrs::store::EventStore as _;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// The smallest window on the log: two events a page, and one page in memory.
fn tiny() -> Config {
    Config::new().tail_page(2).tail_buffer(1)
}

#[tokio::test]
async fn g6_a_handler_behind_the_buffer_reads_its_own_range() {
    let store = MemoryStore::new();
    let (go, mut gate) = mpsc::channel::<()>(1);
    let (told, mut positions) = mpsc::channel(1_000);
    let slow = {
        let gate = Arc::new(tokio::sync::Mutex::new(gate_of(&mut gate)));
        Script::new(move |_, context: EventContext| {
            let (gate, told) = (Arc::clone(&gate), told.clone());
            async move {
                if context.position() == 1 {
                    gate.lock().await.recv().await;
                }
                told.send(context.position()).await.expect("the test listens");
                Ok(())
            }
        })
    };
    let (quick, mut inbox) = Script::telling();
    let desk = Desk::builder(store)
        .config(tiny())
        .event_handler(Eager(slow))
        .event_handler(Careful(quick))
        .start()
        .await
        .unwrap();
    for at in 1..=100 {
        desk.dispatch(note("a", at.to_string())).consistency(Strong).await.unwrap();
        desk.dispatch(Stamp { book: "a".into() }).await.unwrap();
    }
    assert_eq!(inbox.rest().len(), 100);
    assert_eq!(status(&desk, "eager").await.position, 0, "it waits at the first event");
    go.send(()).await.unwrap();
    for at in 0..100 {
        assert_eq!(soon(positions.recv()).await.unwrap(), 2 * at + 1);
    }
    let caught_up = until_caught_up(&desk, "eager").await;
    assert_eq!(caught_up.position, 200);
    // And then it is with the others again.
    desk.dispatch(note("a", "live")).await.unwrap();
    assert_eq!(soon(positions.recv()).await.unwrap(), 201);
    desk.shutdown().await;
}

/// What was read for where it was to go on is not handed to a handler that is to begin anew.
#[tokio::test]
async fn t_330_a_handler_that_is_reset_while_it_catches_up_passes_over_nothing() {
    const LAST: u64 = 40;
    let store = MemoryStore::new();
    for at in 1..=LAST {
        write(&store, "raw-1", "desk.Noted", &[stored_note(at)]).await;
    }
    let (told, mut positions) = mpsc::channel(1_000);
    let gate = Arc::new(Semaphore::new(0));
    let script = {
        let gate = Arc::clone(&gate);
        Script::new(move |_, context: EventContext| {
            let (gate, told) = (Arc::clone(&gate), told.clone());
            async move {
                told.send(context.position()).await.expect("the test listens");
                if context.position() == 20 {
                    gate.acquire().await.expect("the test opens it").forget();
                }
                Ok(())
            }
        })
    };
    let desk = Desk::builder(store).config(tiny()).event_handler(Eager(script)).start().await.unwrap();
    for expected in 1..=20 {
        assert_eq!(soon(positions.recv()).await, Some(expected));
    }
    desk.handler("eager").unwrap().reset_to(5).await.unwrap();
    gate.add_permits(2);
    for expected in 6..=LAST {
        assert_eq!(soon(positions.recv()).await, Some(expected));
    }
    desk.shutdown().await;
}

fn gate_of(gate: &mut mpsc::Receiver<()>) -> mpsc::Receiver<()> {
    std::mem::replace(gate, mpsc::channel(1).1)
}

const WRITERS: usize = 4;
const EACH: usize = 2_500;

/// A handler is started while 10,000 events are appended; it sees each of them once, in order.
async fn check_seam(config: Config) {
    let store = MemoryStore::new();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for at in 0..EACH {
                write(&store, &format!("raw-{writer}"), "desk.Noted", &[stored_note(at)]).await;
                tokio::task::yield_now().await;
            }
        });
    }
    // Well under way, and far from done.
    let mut head = store.watch_head();
    soon(head.wait_for(|head| *head >= 1_000)).await.unwrap();
    let (script, mut inbox) = Script::telling();
    let desk =
        Desk::builder(store.clone()).config(config).event_handler(Eager(script)).start().await.unwrap();
    soon(writers.join_all()).await;
    let mut seen = Vec::new();
    for _ in 0..WRITERS * EACH {
        seen.push(inbox.next().await.context.position());
    }
    until_caught_up(&desk, "eager").await;
    desk.shutdown().await;
    let expected: Vec<u64> = (1..).take(WRITERS * EACH).collect();
    assert!(seen == expected, "a gap, a duplicate, or out of order");
    assert_eq!(inbox.positions(), Vec::<u64>::new());
}

// N-032, G4
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn n_032_no_gap_and_no_duplicate_between_catching_up_and_live() {
    check_seam(Config::new()).await;
}

// N-032, G4
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn n_032_nor_with_the_smallest_buffer() {
    check_seam(tiny()).await;
}

// N-032
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn n_032_nor_with_pages_that_do_not_fit_the_buffer() {
    check_seam(Config::new().tail_page(7).tail_buffer(20_000)).await;
}

/// An event of another context, which counts how often it is decoded.
#[derive(Event, Serialize, Clone, Debug, PartialEq)]
#[event(name = "catch_up.Foreign")]
struct Foreign {}

static DECODED: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Foreign {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Plain {}
        let Plain {} = Plain::deserialize(deserializer)?;
        DECODED.fetch_add(1, Ordering::Relaxed);
        Ok(Self {})
    }
}

struct Abroad(mpsc::Sender<u64>);

#[event_handler(name = "abroad", interested_in = [Foreign])]
impl Abroad {
    async fn on_foreign(&self, _event: &Foreign, context: &EventContext) -> Result<(), Broken> {
        self.0.send(context.position()).await.map_err(|_| Broken("nobody listens"))
    }
}

// CA-002 (2)
#[tokio::test]
async fn ca_002_a_handler_decodes_nothing_of_ten_thousand_events_it_does_not_want() {
    const MANY: usize = 10_000;
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let builder = Desk::builder(store.clone()).event_handler(Careful(script));
    let desk = builder.start().await.unwrap();
    for _ in 0..MANY / 100 {
        write(&store, "foreign-1", "catch_up.Foreign", &vec!["{}".to_owned(); 100]).await;
    }
    until_caught_up(&desk, "careful").await;
    let head = MANY as u64;
    assert_eq!(status(&desk, "careful").await.position, head, "its place moves along");
    desk.dispatch(note("a", "own")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.positions(), [head + 1]);
    assert_eq!(DECODED.load(Ordering::Relaxed), 0);
    desk.shutdown().await;

    // T-111, CA-002 (5): whoever wants them decodes each once, and nobody else does.
    let (told, mut positions) = mpsc::channel(MANY);
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store)
        .event_handler(Careful(script))
        .event_handler(Abroad(told))
        .start()
        .await
        .unwrap();
    for expected in 1..=head {
        assert_eq!(soon(positions.recv()).await, Some(expected));
    }
    until_caught_up(&desk, "abroad").await;
    desk.shutdown().await;
    assert_eq!(DECODED.load(Ordering::Relaxed), MANY);
    assert_eq!(inbox.rest(), Vec::<String>::new(), "its own event was handled before");
}

// T-416
#[tokio::test]
async fn t_416_types_that_the_program_does_not_know_are_skipped() {
    let store = MemoryStore::new();
    write(&store, "raw-1", "catch_up.Unheard", &["not even JSON".to_owned()]).await;
    write(&store, "raw-1", "desk.Noted", &[stored_note("1")]).await;
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Eager(script)).start().await.unwrap();
    write(&store, "raw-1", "catch_up.Unheard", &["{".to_owned()]).await;
    write(&store, "raw-1", "desk.Noted", &[stored_note("2")]).await;
    assert_eq!(inbox.texts(2).await, ["1", "2"]);
    let status = until_caught_up(&desk, "eager").await;
    assert_eq!((status.position, status.last_error), (4, None));
    desk.shutdown().await;
}

// T-279: what others wrote wakes the handler, without a dispatch of the application's own.
#[tokio::test]
async fn t_232_events_of_other_writers_wake_a_sleeping_handler() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Eager(script)).start().await.unwrap();
    until_caught_up(&desk, "eager").await;
    for at in 0..20 {
        write(&store, "raw-1", "desk.Noted", &[stored_note(at)]).await;
        assert_eq!(inbox.texts(1).await, [at.to_string()]);
    }
    desk.shutdown().await;
}
