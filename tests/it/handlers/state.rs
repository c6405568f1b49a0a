//! The state that a handler keeps between events: it is written together with the position, and neither is ever ahead.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::domain::*;
use crate::applications::faulty_store::{Call, Fault, FaultyStore};
use crate::support::mortal::MortalStore;
use cqrs::MemoryStore;
use cqrs::application::{Config, StartError};
use cqrs::handler::{Envelope, EventHandler, HandlerState};
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, HandlerCommit, HandlerRecord};
use cqrs::testing::{TestClock, given_log, redeliver_last, settle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How often each text was counted.
#[derive(Serialize, Deserialize, Default, Clone, Debug, PartialEq)]
pub struct Counts(BTreeMap<String, u64>);

type Work = dyn Fn(&Noted) -> Result<(), Broken> + Send + Sync;

/// Counts, and then does what a test tells it.
#[derive(Clone)]
struct Counter(Arc<Work>);

impl Counter {
    fn new() -> Self {
        Self::then(|_| Ok(()))
    }

    fn then(work: impl Fn(&Noted) -> Result<(), Broken> + Send + Sync + 'static) -> Self {
        Self(Arc::new(work))
    }

    /// One that fails at bad notes until the switch is set.
    fn failing() -> (Self, Arc<AtomicBool>) {
        let is_mended = Arc::new(AtomicBool::new(false));
        let mended = Arc::clone(&is_mended);
        let counter = Self::then(move |event| match event.text.starts_with("bad") {
            true if !mended.load(Ordering::SeqCst) => Err(Broken("bad")),
            _ => Ok(()),
        });
        (counter, is_mended)
    }

    fn count(&self, event: &Noted, state: &mut Counts) -> Result<(), Broken> {
        *state.0.entry(event.text.clone()).or_default() += 1;
        (self.0)(event)
    }
}

#[event_handler(name = "counter", interested_in = [Noted], consistency = strong, state = Counts)]
impl Counter {
    async fn on_noted(&self, event: &Noted, state: &mut Counts, _: &EventContext) -> Result<(), Broken> {
        self.count(event, state)
    }

    async fn on_error(&self, failure: &HandlerFailure<Broken>) -> ErrorAction {
        if failure.attempt < 3 { ErrorAction::Retry } else { ErrorAction::Park }
    }
}

async fn start(store: &MemoryStore, counter: &Counter) -> Desk {
    Desk::builder(store.clone()).event_handler(counter.clone()).start().await.unwrap()
}

/// Notes that need no application.
async fn write_notes(store: &MemoryStore, stream: &str, texts: &[&str]) {
    let notes: Vec<_> = texts.iter().map(stored_note).collect();
    write(store, stream, "desk.Noted", &notes).await;
}

/// The state as the store has it.
async fn kept(desk: &Desk) -> Option<Value> {
    let mut states = desk.handler("counter").unwrap().states().await.unwrap();
    assert_eq!(states.len(), 1);
    states.pop().unwrap()
}

async fn until_kept(desk: &Desk, expected: Value) {
    until(async || (kept(desk).await.as_ref() == Some(&expected)).then_some(())).await;
}

// T-285
#[tokio::test]
async fn t_285_a_state_outlives_the_application_and_is_seen_on_any_node() {
    let store = MemoryStore::new();
    let a = start(&store, &Counter::new()).await;
    let b = Desk::builder(store.clone()).node("b").event_handler(Counter::new()).start().await.unwrap();
    assert_eq!(kept(&a).await, None, "it was never changed");
    for text in ["x", "y", "x"] {
        a.dispatch(note("a", text)).consistency(Strong).await.unwrap();
    }
    assert!(a.shutdown().await.is_clean());
    assert_eq!(kept(&b).await, Some(json!({ "x": 2, "y": 1 })));
    b.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
    assert!(b.shutdown().await.is_clean());
    assert_eq!(kept(&b).await, Some(json!({ "x": 3, "y": 1 })), "it took over");
    let record = store.record("counter", "state", "state").await.unwrap().unwrap();
    assert_eq!((record.position, store.checkpoint("counter").await.unwrap()), (4, Some(4)));
}

// T-285
#[tokio::test]
async fn t_285_an_attempt_that_fails_leaves_the_state_as_it_was() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&attempts);
    let counter = Counter::then(move |event| match (&*event.text, counted.fetch_add(1, Ordering::SeqCst)) {
        ("fails", 1) => Err(Broken("on purpose")),
        ("fails", 2) => panic!("on purpose"),
        _ => Ok(()),
    });
    let store = MemoryStore::new();
    let desk = start(&store, &counter).await;
    for text in ["first", "fails", "last"] {
        desk.dispatch(note("a", text)).consistency(Strong).await.unwrap();
    }
    assert_eq!(attempts.load(Ordering::SeqCst), 5);
    desk.shutdown().await;
    assert_eq!(kept(&desk).await, Some(json!({ "first": 1, "fails": 1, "last": 1 })));
}

/// What is tried again changes the state of the day, and is counted once.
#[tokio::test]
async fn parked_events_change_the_state_when_they_are_tried_again() {
    let (store, (counter, is_mended)) = (MemoryStore::new(), Counter::failing());
    let desk = start(&store, &counter).await;
    for (book, text) in [("a", "good"), ("a", "bad 1"), ("a", "behind"), ("b", "other"), ("a", "bad 2")] {
        let _ = desk.dispatch(note(book, text)).consistency(Strong).await;
    }
    until_kept(&desk, json!({ "good": 1, "other": 1 })).await;
    let handler = desk.handler("counter").unwrap();
    handler.retry_parked("book-a").await.unwrap();
    handler.skip_parked("book-a").await.unwrap();
    until_kept(&desk, json!({ "good": 1, "other": 1, "behind": 1 })).await;
    is_mended.store(true, Ordering::SeqCst);
    handler.retry_parked("book-a").await.unwrap();
    until(async || handler.parked(None, 9).await.unwrap().is_empty().then_some(())).await;
    desk.shutdown().await;
    assert_eq!(kept(&desk).await, Some(json!({ "good": 1, "other": 1, "behind": 1, "bad 2": 1 })));
}

// T-330
#[tokio::test]
async fn t_330_a_reset_begins_with_a_new_state() {
    let (store, counter) = (MemoryStore::new(), Counter::new());
    let desk = start(&store, &counter).await;
    for text in ["x", "y", "x"] {
        desk.dispatch(note("a", text)).consistency(Strong).await.unwrap();
    }
    until_kept(&desk, json!({ "x": 2, "y": 1 })).await;
    let handler = desk.handler("counter").unwrap();
    handler.pause().await.unwrap();
    until_state(&desk, "counter", HandlerState::Paused).await;
    handler.reset().await.unwrap();
    until(async || kept(&desk).await.is_none().then_some(())).await;
    handler.resume().await.unwrap();
    until_kept(&desk, json!({ "x": 2, "y": 1 })).await;
    handler.reset_to(2).await.unwrap();
    until_kept(&desk, json!({ "x": 1 })).await;
    desk.shutdown().await;
}

/// A crash between an event and its checkpoint has events handled again; the kit does the same.
#[tokio::test]
async fn t_323_events_that_come_again_do_not_count_again() {
    let handled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handled);
    let counter = Counter::then(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let desk = start(&MemoryStore::new(), &counter).await;
    for text in ["x", "y", "z"] {
        desk.dispatch(note("a", text)).await.unwrap();
    }
    settle(&desk).await;
    redeliver_last(&desk, "counter", 2).await;
    assert_eq!(handled.load(Ordering::SeqCst), 5);
    desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
    desk.shutdown().await;
    assert_eq!(kept(&desk).await, Some(json!({ "x": 2, "y": 1, "z": 1 })));
}

/// Cut off at each step that it takes, one after the other: each note is counted once.
#[tokio::test]
async fn g_006_whatever_step_it_is_cut_off_at_each_event_changes_the_state_once() {
    let mut last = 0;
    loop {
        let clock = TestClock::new();
        let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
        write_notes(&store, "raw-1", &["1", "2", "3"]).await;
        write_notes(&store, "raw-2", &["bad 4", "5", "6"]).await;
        write_notes(&store, "raw-3", &["7", "8"]).await;
        let (counter, is_mended) = Counter::failing();
        let builder = |counter: &Counter| {
            let config = Config::new().checkpoint_every(2);
            Desk::builder(store.clone()).config(config).event_handler(counter.clone())
        };
        let mortal = MortalStore::new(&store, last);
        let life = async {
            let config = Config::new().checkpoint_every(2);
            let desk = Desk::builder(mortal.clone()).node("mortal").config(config);
            let desk = desk.event_handler(counter.clone()).start().await.unwrap();
            until_caught_up(&desk, "counter").await;
            is_mended.store(true, Ordering::SeqCst);
            let handler = desk.handler("counter").unwrap();
            handler.retry_parked("raw-2").await.unwrap();
            until(async || handler.parked(None, 9).await.unwrap().is_empty().then_some(())).await;
            desk.shutdown().await;
        };
        let is_alive = tokio::select! {
            () = life => true,
            () = mortal.death() => false,
        };
        // Long enough for the next one to take over.
        clock.advance(Duration::from_secs(3_600));
        is_mended.store(true, Ordering::SeqCst);
        let desk = builder(&counter).start().await.unwrap();
        settle(&desk).within(LIMIT).await;
        let handler = desk.handler("counter").unwrap();
        if !handler.parked(None, 9).await.unwrap().is_empty() {
            handler.retry_parked("raw-2").await.unwrap();
            until(async || handler.parked(None, 9).await.unwrap().is_empty().then_some(())).await;
        }
        desk.shutdown().await;
        let expected = json!({ "1": 1, "2": 1, "3": 1, "bad 4": 1, "5": 1, "6": 1, "7": 1, "8": 1 });
        assert_eq!(kept(&desk).await, Some(expected), "cut off at step {last}");
        if is_alive {
            assert!(last > 30, "there were {last} steps only");
            return;
        }
        last += 1;
    }
}

/// A store that fails now and then, and a node that loses its lease and gets it back: the state is that of the position.
#[tokio::test(start_paused = true)]
async fn g_006_outages_do_not_make_the_state_another_one() {
    let store = FaultyStore::default();
    let config = Config::new().checkpoint_every(1).lease_ttl(Duration::from_secs(3));
    let desk = Desk::builder(store.clone()).config(config).event_handler(Counter::new());
    let desk = desk.start().await.unwrap();
    for (round, call) in [Call::Commit, Call::Records, Call::Checkpoint, Call::Commit].into_iter().enumerate()
    {
        for calls in [Call::RenewLeases, Call::AcquireLease, call] {
            store.fail(calls, Fault::Unavailable, 5);
        }
        for _ in 0..5 {
            desk.dispatch(note("a", round.to_string())).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        settle(&desk).within(Duration::from_secs(60)).await;
    }
    assert!(desk.shutdown().await.is_clean());
    assert_eq!(kept(&desk).await, Some(json!({ "0": 5, "1": 5, "2": 5, "3": 5 })));
}

/// Another program's state.
async fn put_state(store: &MemoryStore, data: &str) {
    let record = HandlerRecord {
        kind: "state".into(),
        key: "state".to_owned(),
        position: 1,
        due_at: None,
        data: data.to_owned().into(),
    };
    store.change_records("counter", HandlerCommit::new().put(record)).await.unwrap();
}

#[tokio::test]
async fn a_state_that_cannot_be_read_stops_the_handler_until_it_is_reset() {
    let (store, (counter, is_mended)) = (MemoryStore::new(), Counter::failing());
    let desk = start(&store, &counter).await;
    desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
    desk.dispatch(note("b", "bad")).consistency(Strong).await.unwrap_err();
    desk.shutdown().await;
    put_state(&store, r#"{ "x": "many" }"#).await;
    is_mended.store(true, Ordering::SeqCst);

    let desk = start(&store, &counter).await;
    desk.handler("counter").unwrap().retry_parked("book-b").await.unwrap();
    desk.dispatch(note("a", "y")).await.unwrap();
    let failed = until_state(&desk, "counter", HandlerState::Failed).await;
    let error = failed.last_error.unwrap();
    assert!(error.contains("the state of handler \"counter\" cannot be read"), "{error}");
    assert!(error.contains("reset the handler") && error.contains("expected u64"), "{error}");
    assert_eq!(kept(&desk).await, Some(json!({ "x": "many" })), "it is left as it is");
    desk.handler("counter").unwrap().reset().await.unwrap();
    desk.shutdown().await;
    assert_eq!(store.checkpoint("counter").await.unwrap(), Some(2));

    let desk = start(&store, &counter).await;
    desk.dispatch(note("a", "z")).consistency(Strong).await.unwrap();
    let status = status(&desk, "counter").await;
    assert_eq!((status.state, status.last_error, status.parked), (HandlerState::Running, None, 0));
    desk.shutdown().await;
    assert_eq!(kept(&desk).await, Some(json!({ "x": 1, "bad": 1, "y": 1, "z": 1 })));
}

/// A state with a key that is no text has no JSON form.
#[derive(Serialize, Deserialize, Default, Clone)]
pub struct Unwritable(BTreeMap<Option<u64>, Vec<u64>>);

struct Careless;

#[event_handler(name = "careless", interested_in = [Noted], state = Unwritable)]
impl Careless {
    fn on_noted(&self, _: &Noted, state: &mut Unwritable) {
        state.0.entry(None).or_default().push(1);
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_written_stops_the_handler() {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).event_handler(Careless).start().await.unwrap();
    desk.dispatch(note("a", "x")).await.unwrap();
    let status = until_state(&desk, "careless", HandlerState::Failed).await;
    assert!(status.last_error.unwrap().contains("cannot be written as JSON"));
    desk.shutdown().await;
    assert_eq!(store.checkpoint("careless").await.unwrap(), Some(0), "no event is passed over");
}

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum NoteEvent {
    Noted(Noted),
}

#[derive(Clone)]
struct Batched(Counter, Arc<Mutex<Vec<usize>>>);

#[event_handler(name = "counter", events = NoteEvent, batch_size = 4, consistency = strong, state = Counts)]
impl Batched {
    fn on_batch(&self, events: &[Envelope<NoteEvent>], state: &mut Counts) -> Result<(), Broken> {
        self.1.lock().unwrap().push(events.len());
        events.iter().try_for_each(|event| {
            let NoteEvent::Noted(noted) = &event.event;
            self.0.count(noted, state)
        })
    }

    async fn on_error(&self, _: &HandlerFailure<Broken>) -> ErrorAction {
        ErrorAction::Park
    }
}

// T-285
#[tokio::test]
async fn t_285_a_batch_changes_the_state_as_a_whole() {
    let store = MemoryStore::new();
    write_notes(&store, "raw-1", &["1", "2", "3", "4", "5"]).await;
    write_notes(&store, "raw-2", &["6", "bad"]).await;
    let batched = Batched(Counter::failing().0, Arc::default());
    let desk = Desk::builder(store.clone()).event_handler(batched.clone()).start().await.unwrap();
    settle(&desk).await;
    let expected = json!({ "1": 1, "2": 1, "3": 1, "4": 1, "5": 1, "6": 1 });
    until_kept(&desk, expected.clone()).await;
    assert_eq!(*batched.1.lock().unwrap(), [4, 3, 1, 1, 1]);
    // What comes again does not count again; what is parked waits, and so does its key.
    let handler = desk.handler("counter").unwrap();
    batched.1.lock().unwrap().clear();
    redeliver_last(&desk, "counter", 4).await;
    desk.dispatch(note("a", "7")).consistency(Strong).await.unwrap();
    assert_eq!(*batched.1.lock().unwrap(), [2, 1]);
    assert_eq!(handler.parked(None, 9).await.unwrap().len(), 1);
    desk.shutdown().await;
    let kept = kept(&desk).await.unwrap();
    assert_eq!((kept["5"].as_u64(), kept["7"].as_u64(), kept["bad"].as_u64()), (Some(1), Some(1), None));
}

/// With a number of partitions that no macro has seen.
struct Divided<const PARTITIONS: u16>;

impl<const PARTITIONS: u16> EventHandler for Divided<PARTITIONS> {
    const NAME: &'static str = "divided";
    const PARTITIONS: u16 = PARTITIONS;
    type Event = Noted;
    type State = u64;
    type Error = Broken;

    async fn handle(&self, _: Noted, count: &mut u64, _: &EventContext) -> Result<(), Broken> {
        *count += 1;
        Ok(())
    }
}

async fn start_divided<const PARTITIONS: u16>(store: &MemoryStore, node: &str) -> Result<Desk, StartError> {
    Desk::builder(store.clone()).node(node).event_handler(Divided::<PARTITIONS>).start().await
}

async fn counts(desk: &Desk) -> Vec<u64> {
    let states = desk.handler("divided").unwrap().states().await.unwrap();
    states.into_iter().map(|state| state.map_or(0, |state| state.as_u64().unwrap())).collect()
}

#[tokio::test]
async fn each_partition_has_a_state_of_its_own() {
    let store = MemoryStore::new();
    let a = start_divided::<4>(&store, "a").await.unwrap();
    for book in 0..40 {
        a.dispatch(note(&book.to_string(), "x")).await.unwrap();
    }
    until_caught_up(&a, "divided").await;
    // They spread over two nodes, and come back.
    let b = start_divided::<4>(&store, "b").await.unwrap();
    for book in 0..40 {
        b.dispatch(note(&book.to_string(), "y")).await.unwrap();
    }
    until_caught_up(&a, "divided").await;
    a.shutdown().await;
    b.dispatch(note("0", "z")).await.unwrap();
    until_caught_up(&b, "divided").await;
    b.shutdown().await;
    let counts = counts(&b).await;
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (4, 81));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// Nobody can tell which part of a state is whose.
#[tokio::test]
async fn a_handler_with_a_state_is_divided_anew_only_when_it_was_reset() {
    let store = MemoryStore::new();
    let desk = start_divided::<2>(&store, "a").await.unwrap();
    for book in 0..10 {
        desk.dispatch(note(&book.to_string(), "x")).await.unwrap();
    }
    until_caught_up(&desk, "divided").await;
    desk.shutdown().await;
    let refused = start_divided::<3>(&store, "a").await.unwrap_err();
    assert!(matches!(refused, StartError::PartitionedState { before: 2, now: 3, .. }), "{refused:?}");
    assert!(refused.to_string().contains("start it with 2, pause and reset it"), "{refused}");

    let desk = start_divided::<2>(&store, "a").await.unwrap();
    let handler = desk.handler("divided").unwrap();
    handler.pause().await.unwrap();
    until_state(&desk, "divided", HandlerState::Paused).await;
    handler.reset().await.unwrap();
    let is_reset = async || {
        let statuses = handler.partitions().await.unwrap();
        statuses.iter().all(|status| status.position == 0).then_some(())
    };
    until(is_reset).await;
    desk.shutdown().await;
    let desk = start_divided::<3>(&store, "a").await.unwrap();
    desk.handler("divided").unwrap().resume().await.unwrap();
    until_caught_up(&desk, "divided").await;
    desk.shutdown().await;
    assert_eq!(counts(&desk).await.iter().sum::<u64>(), 10);
}

#[tokio::test]
async fn the_kit_gives_a_state_and_takes_one() {
    let noted = |text: &str| Noted { book: "a".to_owned(), text: text.to_owned() };
    let (counter, _) = Counter::failing();
    let counts = given_log().events("book-a", [noted("x"), noted("x")]).handle(&counter).await.unwrap();
    assert_eq!(counts.0["x"], 2);
    let mut counts = Counts(BTreeMap::from([("x".to_owned(), 7)]));
    let given = given_log().events("book-a", [noted("x"), noted("bad"), noted("x")]);
    given.handle_with(&counter, &mut counts).await.unwrap_err();
    assert_eq!(counts.0, BTreeMap::from([("x".to_owned(), 8)]), "as it was before the bad one");
}
