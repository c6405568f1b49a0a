//! Handlers that take several events at once.

use std::sync::{Arc, Mutex};

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::handler::{Envelope, HandlerState};
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use tokio::time::Instant;

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum NoteEvent {
    Noted(Noted),
}

type Work = dyn Fn(&[Envelope<NoteEvent>]) -> Result<(), Broken> + Send + Sync;

/// The texts of each batch, and what is done with it.
#[derive(Clone)]
struct Batches {
    seen: Arc<Mutex<Vec<Vec<String>>>>,
    work: Arc<Work>,
}

impl Batches {
    fn new(work: impl Fn(&[Envelope<NoteEvent>]) -> Result<(), Broken> + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), work: Arc::new(work) }
    }

    fn take(&self, events: &[Envelope<NoteEvent>]) -> Result<(), Broken> {
        self.seen.lock().unwrap().push(events.iter().map(text).collect());
        (self.work)(events)
    }

    fn sizes(&self) -> Vec<usize> {
        self.seen.lock().unwrap().iter().map(Vec::len).collect()
    }

    fn texts(&self) -> Vec<String> {
        self.seen.lock().unwrap().concat()
    }
}

fn text(envelope: &Envelope<NoteEvent>) -> String {
    let NoteEvent::Noted(event) = &envelope.event;
    event.text.clone()
}

#[derive(Clone)]
pub struct Eager(Batches);

#[event_handler(name = "batches", events = NoteEvent, batch_size = 10, consistency = strong)]
impl Eager {
    async fn on_batch(&self, events: &[Envelope<NoteEvent>]) -> Result<(), Broken> {
        self.0.take(events)
    }

    async fn on_error(&self, failure: &HandlerFailure<Broken>) -> ErrorAction {
        if failure.attempt < 2 { ErrorAction::Retry } else { ErrorAction::Park }
    }
}

#[derive(Clone)]
pub struct Patient(Batches);

#[event_handler(name = "patient", events = NoteEvent, batch_size = 5, batch_time = "1s")]
impl Patient {
    fn on_batch(&self, events: &[Envelope<NoteEvent>]) -> Result<(), Broken> {
        self.0.take(events)
    }
}

/// Waits in front of each batch until it may go on.
#[derive(Clone)]
pub struct Gated {
    batches: Batches,
    gate: Gate,
}

#[event_handler(name = "gated", events = NoteEvent, batch_size = 10)]
impl Gated {
    async fn on_batch(&self, events: &[Envelope<NoteEvent>]) -> Result<(), Broken> {
        self.gate.pass().await;
        self.batches.take(events)
    }
}

async fn write(store: &MemoryStore, count: usize) {
    let desk = Desk::builder(store.clone()).start().await.unwrap();
    for text in 0..count {
        desk.dispatch(note(&(text % 3).to_string(), text.to_string())).await.unwrap();
    }
    desk.shutdown().await;
}

fn texts(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|text| text.to_string()).collect()
}

/// T-305
#[tokio::test]
async fn events_come_in_full_batches_in_the_order_of_the_log() {
    let store = MemoryStore::new();
    write(&store, 95).await;
    let batches = Batches::new(|_| Ok(()));
    let desk = Desk::builder(store.clone()).event_handler(Eager(batches.clone())).start().await.unwrap();
    until_caught_up(&desk, "batches").await;
    assert_eq!(batches.texts(), texts(0..95));
    assert_eq!(batches.sizes(), [10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);
    // At the end of the log a batch is what is there.
    desk.dispatch(note("0", "95")).consistency(Strong).await.unwrap();
    assert_eq!(batches.texts(), texts(0..96));
    assert!(desk.shutdown().await.is_clean());
    assert_eq!(store.checkpoint("batches").await.unwrap(), Some(96));
}

/// T-311, G6: a batch is acknowledged as one, and none of it before.
#[tokio::test]
async fn g_006_a_batch_that_is_cut_off_comes_again_as_a_whole() {
    let store = MemoryStore::new();
    write(&store, 20).await;
    let (told, mut begun) = tokio::sync::mpsc::channel(10);
    let batches = Batches::new(move |events| {
        told.try_send(events.len()).unwrap();
        // In the second batch: the first one is acknowledged by then, or not.
        if text(&events[0]) == "10" { panic!("on purpose") } else { Ok(()) }
    });
    let desk = Desk::builder(store.clone()).node("a").event_handler(Eager(batches)).start().await.unwrap();
    assert_eq!(soon(begun.recv()).await, Some(10));
    assert_eq!(soon(begun.recv()).await, Some(10));
    drop(desk);
    let again = Batches::new(|_| Ok(()));
    let desk = Desk::builder(store).node("b").event_handler(Eager(again.clone())).start().await.unwrap();
    until_caught_up(&desk, "batches").await;
    let texts: Vec<usize> = again.texts().iter().map(|text| text.parse().unwrap()).collect();
    assert!(texts.is_sorted() && *texts.last().unwrap() == 19, "{texts:?}");
    desk.shutdown().await;
}

/// T-306
#[tokio::test]
async fn a_bad_event_does_not_keep_the_others_of_its_batch() {
    let store = MemoryStore::new();
    write(&store, 20).await;
    let batches = Batches::new(|events| match events.iter().any(|event| text(event) == "3") {
        true => Err(Broken("bad")),
        false => Ok(()),
    });
    let desk = Desk::builder(store).event_handler(Eager(batches.clone())).start().await.unwrap();
    until_caught_up(&desk, "batches").await;
    let parked = desk.handler("batches").unwrap().parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((&*parked[0].key, parked[0].position, parked[0].attempts), ("book-0", 4, 2));
    // The first batch, then each of it by itself; what waits behind the bad one is left out of both.
    let expected: Vec<Vec<String>> = [
        texts(0..10),
        texts(0..1),
        texts(1..2),
        texts(2..3),
        texts(3..4),
        texts(3..4),
        texts(4..5),
        texts(5..6),
        texts(7..8),
        texts(8..9),
        ["10", "11", "13", "14", "16", "17", "19"].map(str::to_owned).to_vec(),
    ]
    .into();
    assert_eq!(*batches.seen.lock().unwrap(), expected);
    desk.shutdown().await;
}

/// Leaves out what fails.
#[derive(Clone)]
pub struct Careless(Batches);

#[event_handler(name = "careless", events = NoteEvent, batch_size = 10, consistency = strong)]
impl Careless {
    fn on_batch(&self, events: &[Envelope<NoteEvent>]) -> Result<(), Broken> {
        self.0.take(events)
    }

    fn on_error(&self, _failure: &HandlerFailure<Broken>) -> ErrorAction {
        ErrorAction::Skip
    }
}

/// T-306
#[tokio::test]
async fn t_314_what_a_batch_cannot_handle_is_left_out_and_acknowledged() {
    let store = MemoryStore::new();
    write(&store, 5).await;
    let batches =
        Batches::new(|events| match events.iter().find(|event| ["1", "4"].contains(&&*text(event))) {
            Some(event) if text(event) == "4" && events.len() == 1 => panic!("on purpose"),
            Some(_) => Err(Broken("bad")),
            None => Ok(()),
        });
    let start =
        async || Desk::builder(store.clone()).event_handler(Careless(batches.clone())).start().await.unwrap();
    let desk = start().await;
    let status = until_caught_up(&desk, "careless").await;
    assert_eq!((status.state, status.position, status.parked), (HandlerState::Running, 5, 0));
    desk.dispatch(note("0", "5")).consistency(Strong).await.unwrap();
    desk.shutdown().await;
    assert_eq!(batches.sizes(), [5, 1, 1, 1, 1, 1, 1]);
    let desk = start().await;
    until_caught_up(&desk, "careless").await;
    desk.shutdown().await;
    assert_eq!(batches.sizes().len(), 7, "nothing of it comes again");
}

/// T-310: the handler waits until a batch is full, or for its time.
#[tokio::test(start_paused = true)]
async fn a_batch_waits_to_become_full() {
    let batches = Batches::new(|_| Ok(()));
    let desk =
        Desk::builder(MemoryStore::new()).event_handler(Patient(batches.clone())).start().await.unwrap();
    let began = Instant::now();
    for text in 0..5 {
        desk.dispatch(note("0", text.to_string())).await.unwrap();
    }
    until_caught_up(&desk, "patient").await;
    assert_eq!(batches.sizes(), [5]);
    assert!(began.elapsed().as_millis() < 900, "it is full: {:?}", began.elapsed());

    let began = Instant::now();
    desk.dispatch(note("0", "5")).await.unwrap();
    desk.dispatch(note("0", "6")).await.unwrap();
    until_caught_up(&desk, "patient").await;
    assert_eq!(batches.sizes(), [5, 2]);
    assert!(began.elapsed().as_millis() >= 900, "its time is up: {:?}", began.elapsed());
    // A shutdown does not wait for that.
    desk.dispatch(note("0", "7")).await.unwrap();
    let began = Instant::now();
    assert!(desk.shutdown().await.is_clean());
    assert!(began.elapsed().as_millis() < 900);
}

#[tokio::test]
async fn batches_and_pages_need_not_fit() {
    let store = MemoryStore::new();
    write(&store, 47).await;
    let batches = Batches::new(|_| Ok(()));
    let desk = Desk::builder(store)
        .config(Config::new().tail_page(7))
        .event_handler(Eager(batches.clone()))
        .start()
        .await
        .unwrap();
    until_caught_up(&desk, "batches").await;
    assert_eq!(batches.texts(), texts(0..47));
    desk.shutdown().await;
}

/// T-315, L-023: what waits for a batch to become full when the handler begins anew is handled with all from the
/// beginning, each event once.
#[tokio::test(start_paused = true)]
async fn t_315_a_reset_leaves_nothing_behind_of_a_batch_that_waits() {
    let batches = Batches::new(|_| Ok(()));
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).event_handler(Patient(batches.clone())).start().await.unwrap();
    for text in 0..2 {
        desk.dispatch(note("0", text.to_string())).await.unwrap();
    }
    // Half of the time for which they wait.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    desk.handler("patient").unwrap().reset().await.unwrap();
    until(async || (batches.texts().len() >= 2).then_some(())).await;
    until_caught_up(&desk, "patient").await;
    assert_eq!(batches.texts(), ["0", "1"]);
    assert!(desk.shutdown().await.is_clean());
    assert_eq!(store.checkpoint("patient").await.unwrap(), Some(2));
}

/// A batch that is being filled does not keep a pause waiting, and waits no longer because of it.
#[tokio::test(start_paused = true)]
async fn a_pause_comes_before_a_batch_that_is_not_full() {
    let batches = Batches::new(|_| Ok(()));
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).event_handler(Patient(batches.clone())).start().await.unwrap();
    let patient = desk.handler("patient").unwrap();
    desk.dispatch(note("0", "0")).await.unwrap();
    // Half of the time for which it waits.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let called = Instant::now();
    patient.pause().await.unwrap();
    until_state(&desk, "patient", HandlerState::Paused).await;
    assert!(called.elapsed().as_millis() < 100, "{:?}", called.elapsed());
    assert!(batches.sizes().is_empty());
    patient.resume().await.unwrap();
    desk.dispatch(note("0", "1")).await.unwrap();
    until_caught_up(&desk, "patient").await;
    assert_eq!(batches.sizes(), [2]);
    assert!(called.elapsed().as_millis() < 600, "{:?}", called.elapsed());
    desk.shutdown().await;
}

/// A pause comes behind the batch that the handler is at; the others are handled when it goes on.
#[tokio::test]
async fn a_pause_comes_between_batches() {
    let store = MemoryStore::new();
    write(&store, 25).await;
    let gate = Gate::default();
    let batches = Batches::new(|_| Ok(()));
    let gated = Gated { batches: batches.clone(), gate: gate.clone() };
    let desk = Desk::builder(store.clone()).event_handler(gated).start().await.unwrap();
    let handler = desk.handler("gated").unwrap();
    gate.entered().await;
    handler.pause().await.unwrap();
    gate.open();
    until_state(&desk, "gated", HandlerState::Paused).await;
    assert_eq!(batches.sizes(), [10]);
    handler.resume().await.unwrap();
    until_caught_up(&desk, "gated").await;
    assert_eq!(batches.texts(), texts(0..25));
    desk.shutdown().await;
}
