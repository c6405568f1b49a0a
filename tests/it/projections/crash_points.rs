//! Projections that are cut off at each step that they take, one after the other, and whose calls fail one after the
//! other: the rows are what the log leads to, and readers see nothing else meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::domain::*;
use crate::support::mortal::{Fate, MortalRows, MortalStore, each_death, each_fault};
use cqrs::application::Config;
use cqrs::prelude::*;
use cqrs::projection::{GenerationError, GenerationState, RebuildError, RowStore as _};
use cqrs::store::{CheckpointStore as _, EventStore as _};
use cqrs::testing::settle;
use futures_util::FutureExt as _;

/// The book of each event of the log: those that are there, and those that come later.
const BOOKS: [&str; 10] = ["a", "b", "a", "c", "b", "a", "c", "b", "a", "c"];
const PAST: usize = 7;

/// The position of the event that cannot be projected at first.
const BAD: u64 = 2;

/// The events of each book, as rows.
type Shelf = BTreeMap<String, Vec<String>>;

/// Writes the position of each event into the row of its book.
#[derive(Clone)]
pub struct Index {
    rows: MortalRows<Books>,
    is_mended: Arc<AtomicBool>,
}

#[projection(name = "index", interested_in = [Noted])]
impl Index {
    fn rows(&self) -> &MortalRows<Books> {
        &self.rows
    }

    fn on_noted(
        &self,
        event: &Noted,
        rows: &mut RowsMut<String, Vec<String>>,
        context: &ProjectionContext,
    ) -> Result<(), Broken> {
        rows.row(event.book.clone()).push(context.position().to_string());
        match context.position() == BAD && !self.is_mended.load(Ordering::SeqCst) {
            true => Err(Broken("bad")),
            false => Ok(()),
        }
    }

    fn on_error(&self, _failure: &ProjectionFailure<Broken>) -> ErrorAction {
        ErrorAction::Park
    }
}

/// The next version, whose rows look otherwise.
#[derive(Clone)]
pub struct NextIndex(MortalRows<Books>);

#[projection(name = "index", interested_in = [Noted], version = 2)]
impl NextIndex {
    fn rows(&self) -> &MortalRows<Books> {
        &self.0
    }

    fn on_noted(&self, event: &Noted, rows: &mut RowsMut<String, Vec<String>>, context: &ProjectionContext) {
        rows.row(event.book.clone()).push(next(context.position()));
    }
}

fn plain(position: u64) -> String {
    position.to_string()
}

fn next(position: u64) -> String {
    format!("v2-{position}")
}

/// What the log leads to up to a position.
fn fold(position: u64, text: impl Fn(u64) -> String) -> Shelf {
    let mut shelf = Shelf::new();
    for position in 1..=position {
        shelf.entry(book_at(position).to_owned()).or_default().push(text(position));
    }
    shelf
}

/// Beyond the list it begins anew.
fn book_at(position: u64) -> &'static str {
    BOOKS[usize::try_from(position - 1).unwrap() % BOOKS.len()]
}

async fn write_to(store: &MemoryStore, count: u64) {
    for position in store.head().await.unwrap() + 1..=count {
        let book = book_at(position);
        let data = serde_json::json!({ "book": book, "text": plain(position) }).to_string();
        write(store, &format!("book-{book}"), "desk.Noted", &[data]).await;
    }
}

/// Starts, also when the first attempt fails.
async fn start(store: &MortalStore<MemoryStore>, node: &str, projection: impl Projection + Clone) -> Desk {
    let config = Config::new().checkpoint_every(1).tail_page(3);
    loop {
        let builder = Desk::builder(store.clone()).node(node).config(config.clone());
        if let Ok(desk) = builder.projection(projection.clone()).start().await {
            return desk;
        }
        // It may have got leases without hearing of it.
        store.let_leases_run_out().await;
    }
}

/// Everything that is there, what comes later, and what was parked.
async fn live(desk: &Desk, store: &MemoryStore, is_mended: &AtomicBool) {
    settle(desk).within(LIMIT).await;
    write_to(store, BOOKS.len() as u64).await;
    settle(desk).within(LIMIT).await;
    is_mended.store(true, Ordering::SeqCst);
    let handler = desk.handler("index").unwrap();
    until(async || {
        let parked = handler.parked(None, 10).await.ok()?;
        for parked in &parked {
            let _ = handler.retry_parked(&parked.key).await;
        }
        parked.is_empty().then_some(())
    })
    .await;
    settle(desk).within(LIMIT).await;
}

async fn active(rows: &Books) -> Option<u64> {
    let generations = rows.generations("index").await.unwrap();
    let active = generations.into_iter().find(|one| one.state == GenerationState::Active);
    active.map(|active| active.position)
}

/// The rows are made up to where they say, but for those that wait behind the event that fails; the log's store knows
/// of nothing beyond.
async fn check_position(store: &MemoryStore, rows: &Books) {
    let position = active(rows).await.unwrap_or(0);
    let (mut shelf, mut expected) = (rows.snapshot().as_ref().clone(), fold(position, plain));
    let (waiting, all) = (shelf.remove("b").unwrap_or_default(), expected.remove("b").unwrap_or_default());
    assert_eq!(shelf, expected, "made up to {position}");
    assert!(all.starts_with(&waiting), "{waiting:?} of {all:?}");
    assert!(store.checkpoint("index").await.unwrap() <= Some(position));
}

async fn run(fate: Fate) {
    let (store, rows, is_mended) = (MemoryStore::new(), Books::new(), Arc::new(AtomicBool::new(false)));
    let index = |fate: &Fate| Index { rows: MortalRows::new(&rows, fate), is_mended: Arc::clone(&is_mended) };
    write_to(&store, PAST as u64).await;
    let mortal = MortalStore::new(&store, &fate);
    let life = async {
        let desk = start(&mortal, "mortal", index(&fate)).await;
        live(&desk, &store, &is_mended).await;
        desk.shutdown().await;
    };
    fate.live(life).await;
    check_position(&store, &rows).await;
    mortal.let_leases_run_out().await;
    let heir = start(&MortalStore::new(&store, &Fate::kind()), "heir", index(&Fate::kind())).await;
    live(&heir, &store, &is_mended).await;
    heir.shutdown().await;
    check_position(&store, &rows).await;
    assert_eq!(*rows.snapshot(), fold(BOOKS.len() as u64, plain));
    assert_eq!(rows.generations("index").await.unwrap().len(), 1);
}

/// G5, G7
#[tokio::test(start_paused = true)]
async fn g_005_g_007_whatever_step_a_projection_is_cut_off_at_its_rows_are_those_of_the_log() {
    let deaths = each_death(run).await;
    let faults = each_fault(run).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 100 && faults > 100, "there were {deaths} and {faults} only");
}

/// How many events are written while rows are built, and after how many steps each.
const WRITTEN: u64 = 20;
const EACH: usize = 4;

/// What readers have seen, and a log to which is written meanwhile.
#[derive(Clone)]
struct Readers {
    rows: Books,
    store: MemoryStore,
    seen: Arc<Mutex<Vec<Arc<Shelf>>>>,
    steps: Arc<AtomicUsize>,
}

impl Readers {
    fn new(store: &MemoryStore, rows: &Books) -> Self {
        Self { rows: rows.clone(), store: store.clone(), seen: Arc::default(), steps: Arc::default() }
    }

    fn look(&self) {
        let (mut seen, now) = (self.seen.lock().unwrap(), self.rows.snapshot());
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }

    /// Looks, and writes now and then.
    fn step(&self) {
        self.look();
        if self.steps.fetch_add(1, Ordering::SeqCst).is_multiple_of(EACH) {
            let write = async {
                let next = self.store.head().await.unwrap() + 1;
                write_to(&self.store, next.min(WRITTEN)).await;
            };
            write.now_or_never().expect("a store in memory does not wait");
        }
    }

    /// Each time the rows were what a part of the log leads to: first the old ones, then the new ones, and never less of
    /// it than before.
    fn check(&self, old: fn(u64) -> String, new: fn(u64) -> String) {
        let (mut least, mut is_new) = (1, false);
        for shelf in &*self.seen.lock().unwrap() {
            let count = shelf.values().map(Vec::len).sum::<usize>() as u64;
            assert!(count >= least, "readers saw {least} events, and then {count}");
            least = count;
            is_new |= **shelf == fold(count, new);
            assert_eq!(**shelf, fold(count, if is_new { new } else { old }));
        }
        assert!(is_new, "nobody saw the new rows");
    }
}

/// Has rows built beside the old ones under live writes, and given to readers.
async fn run_build<P: Projection + Clone>(
    fate: Fate,
    text: fn(u64) -> String,
    projection: impl Fn(MortalRows<Books>) -> P,
) {
    let (store, rows) = (MemoryStore::new(), Books::new());
    write_to(&store, PAST as u64).await;
    let before = start(
        &MortalStore::new(&store, &Fate::kind()),
        "before",
        mended(MortalRows::new(&rows, &Fate::kind())),
    )
    .await;
    settle(&before).await;
    before.shutdown().await;
    let readers = Readers::new(&store, &rows);
    let witness = readers.clone();
    let fate = fate.seen_by(move || witness.step());
    let mortal = MortalStore::new(&store, &fate);
    let life = async {
        let desk = start(&mortal, "mortal", projection(MortalRows::new(&rows, &fate))).await;
        build(&desk, &rows).await;
        settle(&desk).within(LIMIT).await;
        desk.shutdown().await;
    };
    fate.live(life).await;
    readers.look();
    mortal.let_leases_run_out().await;
    let heir = start(
        &MortalStore::new(&store, &Fate::kind()),
        "heir",
        projection(MortalRows::new(&rows, &Fate::kind())),
    )
    .await;
    build(&heir, &rows).await;
    write_to(&store, WRITTEN + 1).await;
    settle(&heir).within(LIMIT).await;
    heir.shutdown().await;
    readers.look();
    readers.check(plain, text);
    assert_eq!(*rows.snapshot(), fold(WRITTEN + 1, text));
    let generations = rows.generations("index").await.unwrap();
    let states: Vec<_> = generations.iter().map(|one| (one.number, one.state)).collect();
    assert_eq!(states, [(1, GenerationState::Kept), (2, GenerationState::Active)]);
}

fn mended(rows: MortalRows<Books>) -> Index {
    Index { rows, is_mended: Arc::new(AtomicBool::new(true)) }
}

/// Has rows built, unless that is done, and waits until readers see them.
async fn build(desk: &Desk, rows: &Books) {
    let index = desk.projection_named("index").unwrap();
    let count = async || rows.generations("index").await.unwrap().len();
    while count().await < 2 && index.version() == 1 {
        match index.rebuild().await {
            Ok(_) | Err(GenerationError::Building { .. } | GenerationError::Store(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    until(async || {
        if let Ok(Some(rebuild)) = index.building().await {
            match rebuild.switched().await {
                Ok(()) | Err(RebuildError::Store(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        (active_number(rows).await == 2).then_some(())
    })
    .await;
}

async fn active_number(rows: &Books) -> u64 {
    let generations = rows.generations("index").await.unwrap();
    generations.iter().find(|one| one.state == GenerationState::Active).unwrap().number
}

/// EV-82, G7
#[tokio::test(start_paused = true)]
async fn ev_082_g_007_whatever_step_a_rebuild_is_cut_off_at_readers_see_rows_of_the_log() {
    let deaths = each_death(async |fate| run_build(fate, plain, mended).await).await;
    let faults = each_fault(async |fate| run_build(fate, plain, mended).await).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 100 && faults > 100, "there were {deaths} and {faults} only");
}

/// EV-82, G7
#[tokio::test(start_paused = true)]
async fn ev_082_g_007_whatever_step_a_new_version_is_cut_off_at_readers_see_old_rows_or_new_ones() {
    let deaths = each_death(async |fate| run_build(fate, next, NextIndex).await).await;
    let faults = each_fault(async |fate| run_build(fate, next, NextIndex).await).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 100 && faults > 100, "there were {deaths} and {faults} only");
}
