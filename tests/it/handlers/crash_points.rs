//! Event handlers that are cut off at each step that they take, one after the other, and whose calls fail one after the
//! other: each event is handled, in the order of its key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::domain::*;
use crate::support::mortal::{Fate, MortalStore, each_death, each_fault};
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::handler::{Envelope, EventHandler};
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, EventStore as _};
use cqrs::testing::settle;

/// The book of each event of the log: those that are there, and those that come later.
const BOOKS: [&str; 9] = ["a", "b", "a", "c", "b", "a", "c", "b", "a"];
const PAST: usize = 7;

/// The position of the event that cannot be handled at first.
const BAD: u64 = 2;

/// How many events are handled again at most: a batch, or those that were parked, or one for each partition.
const MOST_REPEATED: usize = 3;

/// The book and position of each event, in the order in which they were handled.
#[derive(Clone, Default)]
pub struct Diary {
    handled: Arc<Mutex<Vec<(String, u64)>>>,
    is_mended: Arc<AtomicBool>,
}

impl Diary {
    fn check_event(&self, context: &EventContext) -> Result<(), Broken> {
        match context.position() == BAD && !self.is_mended.load(Ordering::SeqCst) {
            true => Err(Broken("bad")),
            false => Ok(()),
        }
    }

    fn write(&self, event: &Noted, context: &EventContext) {
        self.handled.lock().unwrap().push((event.book.clone(), context.position()));
    }

    fn has(&self, position: u64) -> bool {
        self.handled.lock().unwrap().iter().any(|(_, handled)| *handled == position)
    }

    /// Each event at least once; those of a book in their order, also when they come again.
    fn check(&self) {
        let handled = self.handled.lock().unwrap();
        let mut books: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (book, position) in &*handled {
            books.entry(book).or_default().push(*position);
        }
        for (book, handled) in books {
            let all = positions_of(book);
            let places: Vec<_> = handled.iter().map(|one| all.iter().position(|of| of == one)).collect();
            assert_eq!(places[0], Some(0), "{book}: {handled:?}");
            assert!(places.contains(&Some(all.len() - 1)), "{book}: {handled:?}");
            let is_next = |pair: &[Option<usize>]| pair[1] <= pair[0].map(|place| place + 1);
            assert!(places.windows(2).all(is_next), "{book}: {handled:?}");
        }
        assert!((1..=BOOKS.len() as u64).all(|position| handled.iter().any(|one| one.1 == position)));
        assert!(handled.len() <= BOOKS.len() + MOST_REPEATED, "{handled:?}");
    }
}

fn positions_of(book: &str) -> Vec<u64> {
    (1..).zip(BOOKS).filter(|(_, of)| *of == book).map(|(position, _)| position).collect()
}

macro_rules! of_diary {
    ($handler:ident, $($options:tt)*) => {
        #[derive(Clone)]
        pub struct $handler(Diary);

        #[event_handler(interested_in = [Noted], $($options)*)]
        impl $handler {
            fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
                self.0.check_event(context)?;
                self.0.write(event, context);
                Ok(())
            }

            fn on_error(&self, _failure: &HandlerFailure<Broken>) -> ErrorAction {
                ErrorAction::Park
            }
        }
    };
}

of_diary!(Single, name = "single");
of_diary!(Divided, name = "divided", partitions = 3);

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum NoteEvent {
    Noted(Noted),
}

#[derive(Clone)]
pub struct Batches(Diary);

#[event_handler(name = "batches", events = NoteEvent, batch_size = 3)]
impl Batches {
    fn on_batch(&self, events: &[Envelope<NoteEvent>]) -> Result<(), Broken> {
        for one in events {
            self.0.check_event(&one.context)?;
        }
        for one in events {
            let NoteEvent::Noted(event) = &one.event;
            self.0.write(event, &one.context);
        }
        Ok(())
    }

    fn on_error(&self, _failure: &HandlerFailure<Broken>) -> ErrorAction {
        ErrorAction::Park
    }
}

async fn write_to(store: &MemoryStore, count: usize) {
    let head = usize::try_from(store.head().await.unwrap()).unwrap();
    for (position, book) in (1..=count).zip(BOOKS).skip(head) {
        let data = serde_json::json!({ "book": book, "text": position.to_string() }).to_string();
        write(store, &format!("book-{book}"), "desk.Noted", &[data]).await;
    }
}

/// Starts, also when the first attempt fails.
async fn start<H: EventHandler + Clone>(store: &MortalStore<MemoryStore>, node: &str, handler: &H) -> Desk {
    // A step for each event, so that the checkpoint is in every place once.
    let config = Config::new().checkpoint_every(1).tail_page(3);
    loop {
        let builder = Desk::builder(store.clone()).node(node).config(config.clone());
        if let Ok(desk) = builder.event_handler(handler.clone()).start().await {
            return desk;
        }
        // It may have got leases without hearing of it.
        store.let_leases_run_out().await;
    }
}

/// Everything that is there, what comes later, and what was parked.
async fn live<H: EventHandler>(desk: &Desk, store: &MemoryStore, diary: &Diary) {
    settle(desk).within(LIMIT).await;
    write_to(store, BOOKS.len()).await;
    settle(desk).within(LIMIT).await;
    diary.is_mended.store(true, Ordering::SeqCst);
    let handler = desk.handler(H::NAME).unwrap();
    until(async || {
        let parked = handler.parked(None, 10).await.ok()?;
        for parked in &parked {
            let _ = handler.retry_parked(&parked.key).await;
        }
        parked.is_empty().then_some(())
    })
    .await;
}

/// What is behind no checkpoint was handled, or is parked.
async fn check_checkpoints<H: EventHandler>(store: &MemoryStore, diary: &Diary) {
    let names: Vec<String> = match H::PARTITIONS {
        1 => vec![H::NAME.to_owned()],
        count => (0..count).map(|index| format!("{}/{index} of {count}", H::NAME)).collect(),
    };
    let (mut lowest, mut parked) = (u64::MAX, u64::MAX);
    for name in names {
        lowest = lowest.min(store.checkpoint(&name).await.unwrap().unwrap_or(0));
        for record in store.records(&name, "parked", None, 10).await.unwrap() {
            assert_eq!(record.key, "book-b");
            parked = record.position;
        }
    }
    let waits = |position: u64| position >= parked && positions_of("b").contains(&position);
    let passed_over = (1..=lowest).find(|position| !diary.has(*position) && !waits(*position));
    assert_eq!(passed_over, None, "the checkpoint is {lowest}");
}

async fn run<H: EventHandler + Clone>(fate: Fate, handler: fn(Diary) -> H) {
    let (store, diary) = (MemoryStore::new(), Diary::default());
    let handler = handler(diary.clone());
    write_to(&store, PAST).await;
    let mortal = MortalStore::new(&store, &fate);
    let life = async {
        let desk = start(&mortal, "mortal", &handler).await;
        live::<H>(&desk, &store, &diary).await;
        desk.shutdown().await;
    };
    fate.live(life).await;
    check_checkpoints::<H>(&store, &diary).await;
    mortal.let_leases_run_out().await;
    let heir = start(&MortalStore::new(&store, &Fate::kind()), "heir", &handler).await;
    live::<H>(&heir, &store, &diary).await;
    heir.shutdown().await;
    check_checkpoints::<H>(&store, &diary).await;
    diary.check();
}

async fn check<H: EventHandler + Clone>(handler: fn(Diary) -> H) -> (usize, usize) {
    let deaths = each_death(async |fate| run(fate, handler).await).await;
    let faults = each_fault(async |fate| run(fate, handler).await).await;
    (deaths, faults)
}

/// G5, G6
#[tokio::test(start_paused = true)]
async fn g_005_g_006_whatever_step_a_handler_is_cut_off_at_each_event_is_handled_in_order() {
    let (deaths, faults) = check(Single).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 50 && faults > 50, "there were {deaths} and {faults} only");
}

/// G5, G6
#[tokio::test(start_paused = true)]
async fn g_005_g_006_whatever_step_a_handler_of_batches_is_cut_off_at_each_event_is_handled_in_order() {
    let (deaths, faults) = check(Batches).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 50 && faults > 50, "there were {deaths} and {faults} only");
}

/// G5, G6, D7
#[tokio::test(start_paused = true)]
async fn g_005_g_006_whatever_step_partitions_are_cut_off_at_each_event_is_handled_in_order() {
    let (deaths, faults) = check(Divided).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 50 && faults > 50, "there were {deaths} and {faults} only");
}
