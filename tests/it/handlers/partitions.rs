//! Handlers that are divided into partitions: events of different keys side by side, those of one key in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::application::{StartError, StartFault};
use cqrs::handler::{EventHandler, HandlerState, ParkedError, StartFrom};
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use tokio::sync::Notify;

#[derive(Clone)]
pub struct Divided(pub Script);

#[event_handler(name = "divided", interested_in = [Noted], consistency = strong, partitions = 16)]
impl Divided {
    async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
        self.0.run(event.clone(), context.clone()).await
    }

    async fn on_error(&self, failure: &HandlerFailure<Broken>) -> ErrorAction {
        if failure.attempt < 2 { ErrorAction::Retry } else { ErrorAction::Park }
    }
}

async fn start(store: &MemoryStore, script: Script) -> Desk {
    Desk::builder(store.clone()).event_handler(Divided(script)).start().await.unwrap()
}

async fn start_node(store: &MemoryStore, node: &str, script: Script) -> Desk {
    Desk::builder(store.clone()).node(node).event_handler(Divided(script)).start().await.unwrap()
}

/// How many partitions this node runs.
async fn running(desk: &Desk) -> usize {
    let partitions = desk.handler("divided").unwrap().partitions().await.unwrap();
    partitions.iter().filter(|partition| partition.state == HandlerState::Running).count()
}

async fn until_running(desk: &Desk, count: usize) {
    until(async || (running(desk).await == count).then_some(())).await;
}

const BOOKS: usize = 100;

/// Notes in each of the books, one after the other.
async fn note_all(desk: &Desk, texts: std::ops::Range<usize>) {
    for text in texts {
        for book in 0..BOOKS {
            desk.dispatch(note(&book.to_string(), text.to_string())).await.unwrap();
        }
    }
}

/// The texts by book, in the order in which they were handled.
#[derive(Clone, Default)]
struct Books(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Books {
    fn script(&self) -> Script {
        let books = self.clone();
        Script::new(move |event, _| {
            books.0.lock().unwrap().entry(event.book).or_default().push(event.text);
            std::future::ready(Ok(()))
        })
    }

    /// Each text once and in order.
    #[track_caller]
    fn check(&self, texts: usize) {
        let books = self.0.lock().unwrap();
        let expected: Vec<_> = (0..texts).map(|text| text.to_string()).collect();
        assert_eq!(books.len(), BOOKS);
        for (book, handled) in &*books {
            assert_eq!(*handled, expected, "of {book}");
        }
    }

    /// Each text once, in any order.
    #[track_caller]
    fn check_each_once(&self, texts: usize) {
        self.0.lock().unwrap().values_mut().for_each(|handled| handled.sort_unstable());
        self.check(texts);
    }

    /// Each text at least once, and the first of each in order.
    #[track_caller]
    fn check_at_least_once(&self, texts: usize) {
        let books = self.0.lock().unwrap();
        for (book, handled) in &*books {
            let mut seen = BTreeSet::new();
            let firsts: Vec<usize> =
                handled.iter().map(|text| text.parse().unwrap()).filter(|text| seen.insert(*text)).collect();
            assert_eq!(firsts, (0..texts).collect::<Vec<_>>(), "of {book}: {handled:?}");
        }
        assert_eq!(books.len(), BOOKS);
    }
}

// L-034, G5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_005_an_event_that_takes_long_holds_up_its_own_partition_only() {
    let go_on = Arc::new(Notify::new());
    let (told, mut inbox) = tokio::sync::mpsc::channel(1_000);
    let waiting = Arc::clone(&go_on);
    let script = Script::new(move |event, _| {
        let (told, waiting) = (told.clone(), Arc::clone(&waiting));
        async move {
            if event.book == "0" && event.text == "0" {
                waiting.notified().await;
            }
            told.send((event.book, event.text)).await.unwrap();
            Ok(())
        }
    });
    let desk = start(&MemoryStore::new(), script).await;
    note_all(&desk, 0..2).await;
    let mut handled = Vec::new();
    // More than 15 in 16 have another partition.
    while handled.len() < 2 * BOOKS * 3 / 4 {
        handled.push(soon(inbox.recv()).await.unwrap());
    }
    assert!(!handled.iter().any(|(book, _)| book == "0"));
    let status = status(&desk, "divided").await;
    assert_eq!((status.position, status.state), (0, HandlerState::Running), "the lowest position counts");
    go_on.notify_one();
    while handled.len() < 2 * BOOKS {
        handled.push(soon(inbox.recv()).await.unwrap());
    }
    let mut texts: HashMap<_, Vec<_>> = HashMap::new();
    handled.into_iter().for_each(|(book, text)| texts.entry(book).or_default().push(text));
    assert!(texts.values().all(|texts| texts == &["0", "1"]), "{texts:?}");
    until_caught_up(&desk, "divided").await;
    desk.shutdown().await;
}

// T-320, L-020, G6: behind the tail, at the tail, and across clean stops each event is handled once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_006_each_event_is_handled_once_across_clean_stops() {
    let (store, books) = (MemoryStore::new(), Books::default());
    let writer = Desk::builder(store.clone()).start().await.unwrap();
    note_all(&writer, 0..30).await;
    assert!(writer.shutdown().await.is_clean());
    for texts in [30..32, 32..33, 33..40] {
        let desk = start(&store, books.script()).await;
        note_all(&desk, texts).await;
        // Cut off somewhere.
        assert!(desk.shutdown().await.is_clean());
    }
    let desk = start(&store, books.script()).await;
    desk.dispatch(Stamp { book: "0".into() }).await.unwrap();
    until_caught_up(&desk, "divided").await;
    books.check(40);
    desk.shutdown().await;
}

/// T-245, T-323, L-006: a node that is gone without a word: what it had not noted down is handled again, nothing is passed over,
/// also where partitions have gone ahead of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_006_nothing_is_passed_over_when_a_node_is_cut_off() {
    let (store, books) = (MemoryStore::new(), Books::default());
    let mut desk = start_node(&store, "0", books.script()).await;
    for round in 0..6 {
        note_all(&desk, round * 5..(round + 1) * 5).await;
        drop(desk);
        desk = start_node(&store, &(round + 1).to_string(), books.script()).await;
    }
    until_caught_up(&desk, "divided").await;
    books.check_at_least_once(30);
    desk.shutdown().await;
}

/// T-112
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strong_dispatch_waits_for_the_partition_of_its_event() {
    let books = Books::default();
    let desk = start(&MemoryStore::new(), books.script()).await;
    for book in 0..BOOKS {
        let book = book.to_string();
        desk.dispatch(note(&book, "0")).consistency(Strong).await.unwrap();
        assert_eq!(books.0.lock().unwrap()[&book], ["0"]);
    }
    desk.shutdown().await;
}

/// E-065
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_parked_is_listed_and_tried_again_whichever_partition_keeps_it() {
    let (books, failures) = (Books::default(), Arc::new(AtomicUsize::new(0)));
    let (working, failed) = (books.script(), Arc::clone(&failures));
    let script = Script::new(move |event, context| {
        let is_bad = event.text == "0" && failed.load(Ordering::SeqCst) == 0;
        let working = working.clone();
        async move { if is_bad { Err(Broken("bad")) } else { working.run(event, context).await } }
    });
    let store = MemoryStore::new();
    let desk = start(&store, script).await;
    note_all(&desk, 0..2).await;
    until_caught_up(&desk, "divided").await;
    assert!(books.0.lock().unwrap().is_empty(), "all of them wait");
    let handler = desk.handler("divided").unwrap();
    assert_eq!(handler.status().await.unwrap().parked, BOOKS);
    let mut keys = Vec::new();
    loop {
        let page = handler.parked(keys.last().map(String::as_str), 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        keys.extend(page.into_iter().map(|parked| parked.key));
    }
    assert_eq!(keys.len(), BOOKS);
    assert!(keys.is_sorted(), "in the order of the keys, page by page");

    failures.store(1, Ordering::SeqCst);
    for key in &keys {
        handler.retry_parked(key).await.unwrap();
    }
    until(async || (handler.status().await.unwrap().parked == 0).then_some(())).await;
    books.check(2);
    assert!(matches!(handler.retry_parked("book-0").await, Err(ParkedError::NotParked { .. })));
    desk.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_partitions_are_paused_and_resumed() {
    let (store, books) = (MemoryStore::new(), Books::default());
    let desk = start(&store, books.script()).await;
    let other = start_node(&store, "other", books.script()).await;
    until_running(&other, 8).await;
    other.handler("divided").unwrap().pause().await.unwrap();
    for (node, paused) in [(&desk, 8), (&other, 8)] {
        until(async || {
            let partitions = node.handler("divided").unwrap().partitions().await.unwrap();
            let count = partitions.iter().filter(|partition| partition.state == HandlerState::Paused).count();
            (count == paused).then_some(())
        })
        .await;
    }
    note_all(&desk, 0..1).await;
    assert!(books.0.lock().unwrap().is_empty());
    desk.handler("divided").unwrap().resume().await.unwrap();
    until(async || (books.0.lock().unwrap().len() == BOOKS).then_some(())).await;
    books.check(1);
    desk.shutdown().await;
    other.shutdown().await;
}

/// Tells of resets as well.
#[derive(Clone)]
pub struct Resettable {
    script: Script,
    resets: Arc<AtomicUsize>,
    books: Books,
    refuses: bool,
}

#[event_handler(name = "divided", interested_in = [Noted], partitions = 16)]
impl Resettable {
    async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
        self.script.run(event.clone(), context.clone()).await
    }

    async fn before_reset(&self) -> Result<(), Broken> {
        if self.refuses {
            return Err(Broken("not now"));
        }
        self.resets.fetch_add(1, Ordering::SeqCst);
        self.books.0.lock().unwrap().clear();
        Ok(())
    }
}

/// T-324: what was made is cleared once, when no partition makes anything, and is made again once by all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_330_a_divided_handler_begins_anew_as_a_whole() {
    let (store, books) = (MemoryStore::new(), Books::default());
    let resets = Arc::new(AtomicUsize::new(0));
    let handler = |refuses| Resettable {
        script: books.script(),
        resets: Arc::clone(&resets),
        books: books.clone(),
        refuses,
    };
    let desk = Desk::builder(store.clone()).event_handler(handler(false)).start().await.unwrap();
    let other =
        Desk::builder(store.clone()).node("other").event_handler(handler(false)).start().await.unwrap();
    until_running(&other, 8).await;
    for round in 1..=3 {
        note_all(&desk, round - 1..round).await;
        other.handler("divided").unwrap().reset().await.unwrap();
        until(async || (resets.load(Ordering::SeqCst) == round).then_some(())).await;
        let count = round * BOOKS;
        until(async || {
            let handled: usize = books.0.lock().unwrap().values().map(Vec::len).sum();
            (handled == count).then_some(())
        })
        .await;
        books.check(round);
    }
    desk.shutdown().await;
    other.shutdown().await;

    let desk = Desk::builder(store.clone()).event_handler(handler(true)).start().await.unwrap();
    desk.handler("divided").unwrap().reset().await.unwrap();
    let refused = until(async || status(&desk, "divided").await.last_error).await;
    assert!(refused.contains("not now"), "{refused}");
    // It goes on, whole.
    note_all(&desk, 3..4).await;
    until_caught_up(&desk, "divided").await;
    books.check(4);
    desk.shutdown().await;
}

/// D7: the partitions spread over the nodes that are there, each event is handled once, and those of a node that leaves
/// go to the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_spread_over_the_nodes() {
    let (store, books) = (MemoryStore::new(), Books::default());
    let first = start_node(&store, "1", books.script()).await;
    until_running(&first, 16).await;
    note_all(&first, 0..2).await;
    let second = start_node(&store, "2", books.script()).await;
    note_all(&first, 2..4).await;
    until_running(&first, 8).await;
    until_running(&second, 8).await;
    note_all(&second, 4..6).await;
    let third = start_node(&store, "3", books.script()).await;
    note_all(&second, 6..8).await;
    until(async || {
        let (first, second, third) = (running(&first).await, running(&second).await, running(&third).await);
        (first + second + third == 16 && [first, second, third].iter().all(|count| (4..=6).contains(count)))
            .then_some(())
    })
    .await;
    first.shutdown().await;
    until_running(&second, 8).await;
    until_running(&third, 8).await;
    note_all(&second, 8..10).await;
    second.shutdown().await;
    until_running(&third, 16).await;
    until_caught_up(&third, "divided").await;
    books.check(10);
    third.shutdown().await;
}

#[derive(Clone)]
pub struct ByText(Script);

#[event_handler(name = "divided", interested_in = [Noted], partition_by = text, partitions = 4)]
impl ByText {
    async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
        self.0.run(event.clone(), context.clone()).await
    }
}

/// T-321
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_005_the_order_is_that_of_the_handlers_own_keys() {
    let texts: Arc<Mutex<HashMap<String, Vec<u64>>>> = Arc::default();
    let noted = Arc::clone(&texts);
    let script = Script::new(move |event, context| {
        noted.lock().unwrap().entry(event.text).or_default().push(context.position());
        std::future::ready(Ok(()))
    });
    let desk = Desk::builder(MemoryStore::new()).event_handler(ByText(script)).start().await.unwrap();
    note_all(&desk, 0..20).await;
    until_caught_up(&desk, "divided").await;
    let texts = std::mem::take(&mut *texts.lock().unwrap());
    assert_eq!(texts.len(), 20);
    assert!(texts.values().all(|positions| positions.len() == BOOKS && positions.is_sorted()));
    desk.shutdown().await;
}

#[derive(Clone)]
struct Exploding(Script);

impl EventHandler for Exploding {
    const NAME: &'static str = "divided";
    const START_FROM: StartFrom = StartFrom::Origin;
    const PARTITIONS: u16 = 16;
    type Event = Noted;
    type State = ();
    type Error = Broken;

    async fn handle(&self, event: Noted, _state: &mut (), context: &EventContext) -> Result<(), Broken> {
        self.0.run(event, context.clone()).await
    }

    fn partition_by(&self, event: &Noted, _context: &EventContext) -> String {
        if event.text == "1" { panic!("on purpose") } else { event.book.clone() }
    }
}

/// T-325: where the key cannot be told, it is the stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_325_a_panic_in_telling_the_key_does_not_lose_the_event() {
    let (store, books) = (MemoryStore::new(), Books::default());
    let builder = Desk::builder(store).event_handler(Exploding(books.script()));
    let desk = builder.start().await.unwrap();
    note_all(&desk, 0..1).await;
    note_all(&desk, 1..2).await;
    until_caught_up(&desk, "divided").await;
    books.check_each_once(2);
    desk.shutdown().await;
}

#[derive(Clone, Default)]
struct Weighing(Arc<AtomicUsize>);

impl EventHandler for Weighing {
    const NAME: &'static str = "divided";
    const START_FROM: StartFrom = StartFrom::Origin;
    const PARTITIONS: u16 = 16;
    type Event = Noted;
    type State = ();
    type Error = Broken;

    async fn handle(&self, _: Noted, _: &mut (), _: &EventContext) -> Result<(), Broken> {
        Ok(())
    }

    fn partition_by(&self, event: &Noted, _context: &EventContext) -> String {
        self.0.fetch_add(1, Ordering::SeqCst);
        event.book.clone()
    }
}

/// L-027: behind the tail and at it, however many partitions there are.
#[tokio::test]
async fn the_key_of_an_event_is_found_out_once() {
    let (store, weighing) = (MemoryStore::new(), Weighing::default());
    let start = async || Desk::builder(store.clone()).event_handler(weighing.clone()).start().await.unwrap();
    let desk = start().await;
    note_all(&desk, 0..3).await;
    until_caught_up(&desk, "divided").await;
    assert_eq!(weighing.0.load(Ordering::SeqCst), 3 * BOOKS);
    desk.shutdown().await;
    let writer = Desk::builder(store.clone()).start().await.unwrap();
    note_all(&writer, 3..6).await;
    writer.shutdown().await;
    let desk = start().await;
    until_caught_up(&desk, "divided").await;
    assert_eq!(weighing.0.load(Ordering::SeqCst), 6 * BOOKS);
    desk.shutdown().await;
}

/// With a number of partitions that no macro has seen.
struct By<const PARTITIONS: u16>(Script);

impl<const PARTITIONS: u16> EventHandler for By<PARTITIONS> {
    const NAME: &'static str = "divided";
    const START_FROM: StartFrom = StartFrom::Origin;
    const PARTITIONS: u16 = PARTITIONS;
    type Event = Noted;
    type State = ();
    type Error = Broken;

    async fn handle(&self, event: Noted, _: &mut (), context: &EventContext) -> Result<(), Broken> {
        self.0.run(event, context.clone()).await
    }
}

#[tokio::test]
async fn a_number_of_partitions_that_makes_no_sense_is_refused() {
    let (script, _inbox) = Script::telling();
    for started in [
        Desk::builder(MemoryStore::new()).event_handler(By::<0>(script.clone())).start().await,
        Desk::builder(MemoryStore::new()).event_handler(By::<1_025>(script.clone())).start().await,
    ] {
        let Err(StartError::Invalid { faults, .. }) = started else { panic!("{started:?}") };
        assert!(matches!(&faults[..], [StartFault::InvalidPartitions { .. }]), "{faults:?}");
        assert!(faults[0].to_string().contains("1 to 1,024"), "{faults:?}");
    }
}

/// What is kept is kept by partition, each with its own place.
#[tokio::test]
async fn partitions_have_places_of_their_own() {
    let (store, books) = (MemoryStore::new(), Books::default());
    let desk = start(&store, books.script()).await;
    note_all(&desk, 0..1).await;
    until_caught_up(&desk, "divided").await;
    desk.shutdown().await;
    for index in 0..16 {
        let checkpoint = store.checkpoint(&format!("divided/{index} of 16")).await.unwrap();
        assert_eq!(checkpoint, Some(BOOKS as u64));
    }
    assert_eq!(store.checkpoint("divided").await.unwrap(), None);
}

/// From one partition to many and back: it goes on where it was, and what was parked stays parked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_006_a_handler_that_is_divided_anew_goes_on_where_it_was() {
    let (store, books) = (MemoryStore::new(), Books::default());
    let (working, is_mended) = (books.script(), Arc::new(AtomicUsize::new(0)));
    let mended = Arc::clone(&is_mended);
    let script = Script::new(move |event, context| {
        let is_bad = event.book == "7" && mended.load(Ordering::SeqCst) == 0;
        let working = working.clone();
        async move { if is_bad { Err(Broken("bad")) } else { working.run(event, context).await } }
    });
    async fn round<const PARTITIONS: u16>(store: &MemoryStore, script: &Script, text: usize) -> Desk {
        let handler = ParkingBy::<PARTITIONS>(script.clone());
        let desk = Desk::builder(store.clone()).event_handler(handler).start().await.unwrap();
        note_all(&desk, text..text + 1).await;
        until_caught_up(&desk, "divided").await;
        let parked = desk.handler("divided").unwrap().parked(None, 10).await.unwrap();
        assert_eq!(parked.iter().map(|parked| &*parked.key).collect::<Vec<_>>(), ["book-7"]);
        desk
    }
    round::<1>(&store, &script, 0).await.shutdown().await;
    round::<16>(&store, &script, 1).await.shutdown().await;
    round::<3>(&store, &script, 2).await.shutdown().await;
    round::<16>(&store, &script, 3).await.shutdown().await;
    let desk = round::<1>(&store, &script, 4).await;
    is_mended.store(1, Ordering::SeqCst);
    desk.handler("divided").unwrap().retry_parked("book-7").await.unwrap();
    until(async || (status(&desk, "divided").await.parked == 0).then_some(())).await;
    books.check(5);
    desk.shutdown().await;
    for partition in 0..16 {
        assert_eq!(store.checkpoint(&format!("divided/{partition} of 16")).await.unwrap(), None, "left over");
    }
}

/// While it runs it is not divided anew: two nodes would handle the same events.
#[tokio::test]
async fn a_handler_is_not_divided_anew_while_another_node_runs_it() {
    let (store, (script, _inbox)) = (MemoryStore::new(), Script::telling());
    let running = Desk::builder(store.clone()).event_handler(By::<4>(script.clone())).start().await.unwrap();
    let other = || Desk::builder(store.clone()).node("other").event_handler(By::<8>(script.clone()));
    let refused = other().start().await.unwrap_err();
    assert!(matches!(refused, StartError::Partitions { before: 4, now: 8, .. }), "{refused:?}");
    assert!(refused.to_string().contains("stop the nodes that run it with 4 first"), "{refused}");
    running.dispatch(note("a", "1")).await.unwrap();
    until_caught_up(&running, "divided").await;
    running.shutdown().await;
    other().start().await.unwrap().shutdown().await;
}

struct ParkingBy<const PARTITIONS: u16>(Script);

impl<const PARTITIONS: u16> EventHandler for ParkingBy<PARTITIONS> {
    const NAME: &'static str = "divided";
    const PARTITIONS: u16 = PARTITIONS;
    type Event = Noted;
    type State = ();
    type Error = Broken;

    async fn handle(&self, event: Noted, _: &mut (), context: &EventContext) -> Result<(), Broken> {
        self.0.run(event, context.clone()).await
    }

    async fn on_error(&self, _failure: &HandlerFailure<Broken>) -> ErrorAction {
        ErrorAction::Park
    }
}
