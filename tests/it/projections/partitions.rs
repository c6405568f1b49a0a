//! Rebuilds that are divided by key, the partitions side by side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::domain::*;
use cqrs::application::{StartError, StartFault};
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::projection::{GenerationState, RowPlace, RowStore as _};
use cqrs::testing::TestClock;

/// Notebooks that are rebuilt in so many partitions.
#[derive(Clone, Default)]
struct Divided<const N: u16>(Notebooks);

impl<const N: u16> Projection for Divided<N> {
    const NAME: &'static str = Notebooks::NAME;
    const CONSISTENCY: cqrs::handler::HandlerConsistency = Notebooks::CONSISTENCY;
    const REBUILD_PARTITIONS: u16 = N;
    type Event = <Notebooks as Projection>::Event;
    type Rows = Flaky<Books>;
    type Error = Broken;

    fn rows(&self) -> &Flaky<Books> {
        &self.0.rows
    }

    async fn handle(
        &self,
        event: &Self::Event,
        rows: &mut RowsMut<String, Vec<String>>,
        context: &ProjectionContext,
    ) -> Result<(), Broken> {
        self.0.handle(event, rows, context).await
    }

    async fn on_error(&self, failure: &ProjectionFailure<Broken>) -> ErrorAction {
        Projection::on_error(&self.0, failure).await
    }
}

/// A log with notes "1", "2", .. in turn in the books "0" to "9".
async fn ten_books(store: &MemoryStore, notes: std::ops::RangeInclusive<usize>) {
    for number in notes {
        let book = number % 10;
        let data = serde_json::json!({ "book": book.to_string(), "text": number.to_string() }).to_string();
        write(store, &format!("book-{book}"), "desk.Noted", &[data]).await;
    }
}

/// What is to be in the rows, made of the log without any projection.
async fn fold(store: &MemoryStore) -> BTreeMap<String, Vec<String>> {
    let mut books = BTreeMap::<String, Vec<String>>::new();
    for event in log(store).await {
        if let Ok(Noted { book, text }) = serde_json::from_slice(&event.data) {
            books.entry(book).or_default().push(text);
        }
    }
    books
}

async fn check(rows: &Books, store: &MemoryStore) {
    let expected = fold(store).await;
    rows.read(|rows| {
        for (book, notes) in &expected {
            assert_eq!(rows.get(book), Some(notes), "book {book}");
        }
        assert_eq!(rows.len(), expected.len());
    });
}

async fn rebuild<const N: u16>(desk: &Desk) {
    let rebuild = desk.projection::<Divided<N>>().unwrap().rebuild().await.unwrap();
    soon(rebuild.switched()).await.unwrap();
}

/// EV-82: partitions are projected side by side, each key in its order, and the rows are those of the log.
#[tokio::test]
async fn ev_082_keys_are_rebuilt_side_by_side() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    ten_books(&store, 1..=2_500).await;
    let divided = Divided::<4>(Notebooks::on(&rows).with_faults(&faults));
    let desk = desk(&store, divided.clone()).await;
    until_caught_up(&desk, "notebooks").await;
    assert_eq!(divided.0.rows.unmoved(), 0, "rows that readers see are written in the order of the log");
    let gate = Gate::shut();
    for number in 1..=10 {
        faults.set(&number.to_string(), Fault::Hold(gate.clone()));
    }
    let rebuild = desk.projection::<Divided<4>>().unwrap().rebuild().await.unwrap();
    for _ in 0..4 {
        soon(gate.arrival()).await;
    }
    assert_eq!(divided.0.rows.unmoved(), 0, "four are under way");
    gate.open();
    soon(rebuild.switched()).await.unwrap();
    check(&rows, &store).await;
    assert_eq!(divided.0.rows.unmoved(), 4, "one stretch, which is as long as four pages");
    take_notes(&desk, &[("0", "more")]).await;
    check(&rows, &store).await;
    desk.shutdown().await;
}

/// A few events are not worth it.
#[tokio::test]
async fn a_short_log_is_rebuilt_in_order() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    ten_books(&store, 1..=99).await;
    let divided = Divided::<4>(Notebooks::on(&rows));
    let desk = desk(&store, divided.clone()).await;
    rebuild::<4>(&desk).await;
    check(&rows, &store).await;
    assert_eq!(divided.0.rows.unmoved(), 0);
    desk.shutdown().await;
}

/// Is cut off while one partition is written and the others are, and goes on with another number of them.
async fn check_restart<const N: u16>() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    ten_books(&store, 1..=1_500).await;
    let divided = Divided::<4>(Notebooks::on(&rows).with_faults(&faults));
    let first = desk(&store, divided.clone()).await;
    until_caught_up(&first, "notebooks").await;
    let gate = Gate::shut();
    faults.set("1407", Fault::Hold(gate.clone()));
    first.projection::<Divided<4>>().unwrap().rebuild().await.unwrap();
    soon(gate.arrival()).await;
    until(async || (divided.0.rows.unmoved() == 3).then_some(())).await;
    let report = first.shutdown_within(Duration::from_millis(200)).await;
    assert_eq!(report.unfinished_handlers, ["notebooks/build"]);
    let generations = rows.generations("notebooks").await.unwrap();
    assert_eq!((generations[1].state, generations[1].position), (GenerationState::Building, 0));
    faults.mend("1407");
    ten_books(&store, 1_501..=1_600).await;
    let again = Divided::<N>(Notebooks::on(&rows));
    let second = desk(&store, again.clone()).await;
    until_active(&rows, 2).await;
    until_caught_up(&second, "notebooks").await;
    check(&rows, &store).await;
    second.shutdown().await;
}

/// EV-82, G7: what was written of a stretch before a crash is not written again, whatever the number of partitions is then.
#[tokio::test]
async fn ev_082_a_divided_rebuild_goes_on_after_a_crash() {
    check_restart::<4>().await;
}

#[tokio::test]
async fn a_divided_rebuild_goes_on_with_more_partitions() {
    check_restart::<7>().await;
}

#[tokio::test]
async fn a_divided_rebuild_goes_on_with_fewer_partitions() {
    check_restart::<2>().await;
}

#[tokio::test]
async fn a_divided_rebuild_goes_on_undivided() {
    check_restart::<1>().await;
}

/// What fails, or cannot be decoded, parks its key; all other keys go on, also those of its partition.
#[tokio::test]
async fn a_failing_event_parks_its_key_and_no_other() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    ten_books(&store, 1..=300).await;
    write(&store, "book-raw", "desk.Noted", &[r#"{"text": 5}"#.to_owned(), stored_note("later")]).await;
    ten_books(&store, 301..=600).await;
    let notebooks = Notebooks::on(&rows).with_faults(&faults);
    let desk = desk(&store, Divided::<4>(notebooks)).await;
    until_caught_up(&desk, "notebooks").await;
    faults.set("457", Fault::Fail);
    rebuild::<4>(&desk).await;
    let expected = fold(&store).await;
    for (name, notes) in &expected {
        let made = book(&rows, name);
        match name.as_str() {
            "7" => assert_eq!(made, notes[..45]),
            "raw" => assert!(made.is_empty()),
            _ => assert_eq!(made, *notes, "book {name}"),
        }
    }
    faults.mend("457");
    let handle = desk.handler("notebooks").unwrap();
    until(async || (handle.parked(None, 10).await.unwrap().len() == 2).then_some(())).await;
    handle.retry_parked("book-7").await.unwrap();
    handle.skip_parked("book-raw").await.unwrap();
    until(async || (status(&desk, "notebooks").await.parked == 0).then_some(())).await;
    check(&rows, &store).await;
    desk.shutdown().await;
}

/// A key that was parked in an earlier stretch keeps waiting, and a crash does not make its events count as written.
#[tokio::test]
async fn events_behind_a_parked_one_are_left_out_of_later_stretches() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    ten_books(&store, 1..=3_000).await;
    let builder = |projection| {
        let config = Config::new().tail_page(250);
        Desk::builder(store.clone()).config(config).projection(projection)
    };
    let divided = Divided::<4>(Notebooks::on(&rows).with_faults(&faults));
    let first = builder(divided.clone()).start().await.unwrap();
    until_caught_up(&first, "notebooks").await;
    let gate = Gate::shut();
    faults.set("457", Fault::Fail);
    faults.set("2508", Fault::Hold(gate.clone()));
    first.projection::<Divided<4>>().unwrap().rebuild().await.unwrap();
    soon(gate.arrival()).await;
    first.shutdown_within(Duration::from_millis(200)).await;
    faults.mend("457");
    faults.mend("2508");
    let second = builder(divided).start().await.unwrap();
    until_active(&rows, 2).await;
    assert_eq!(book(&rows, "7").len(), 45);
    let handle = second.handler("notebooks").unwrap();
    until(async || handle.retry_parked("book-7").await.ok()).await;
    until(async || (book(&rows, "7").len() == 300).then_some(())).await;
    check(&rows, &store).await;
    second.shutdown().await;
}

/// Readers are given no rows of which some are further than the position says, though that is as far as those that they
/// see.
#[tokio::test(start_paused = true)]
async fn rows_of_which_some_are_ahead_are_not_given_to_readers() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let divided = Divided::<4>(Notebooks::on(&rows));
    let builder = Desk::builder(store.clone()).config(Config::new().tail_page(150));
    let desk = builder.projection(divided.clone()).start().await.unwrap();
    ten_books(&store, 1..=10).await;
    until_caught_up(&desk, "notebooks").await;
    let handler = desk.handler("notebooks").unwrap();
    handler.pause().await.unwrap();
    until_state(&desk, "notebooks", HandlerState::Paused).await;
    ten_books(&store, 11..=310).await;
    until(async || (status(&desk, "notebooks").await.lag == 300).then_some(())).await;
    // One stretch, and of the second one all but a partition; with that the tenure ends.
    let glitches = [[Glitch::None; 8].as_slice(), &[Glitch::Fenced]].concat();
    divided.0.rows.then(glitches);
    rebuild::<4>(&desk).await;
    assert_eq!(divided.0.rows.unmoved(), 4 + 3);
    let generations = rows.generations("notebooks").await.unwrap();
    let [old, new] = generations.as_slice() else { panic!("{generations:?}") };
    assert_eq!((old.position, new.state), (10, GenerationState::Active));
    let place = RowPlace { projection: "notebooks".into(), generation: new.number, epoch: u64::MAX };
    assert!(rows.claim(&place).await.unwrap().records.is_empty(), "no event is ahead");
    let mut expected = BTreeMap::<String, Vec<String>>::new();
    for number in 1..=new.position {
        expected.entry((number % 10).to_string()).or_default().push(number.to_string());
    }
    assert_eq!(*rows.snapshot(), expected);
    desk.shutdown().await;
}

/// G7: whatever happens to a partition's transaction, and whether anybody hears of it, each event takes effect once.
#[tokio::test(start_paused = true)]
async fn g7_each_event_takes_effect_once_whatever_happens_to_partitions() {
    use Glitch::{AnswerLost, CommitLost, Forgotten, None, Refused, UndoLost, Unreachable};
    for glitches in [
        vec![Unreachable],
        vec![None, AnswerLost],
        vec![None, None, CommitLost],
        vec![Forgotten],
        vec![Forgotten, Forgotten, Forgotten, Forgotten],
        vec![Refused, AnswerLost, Forgotten, CommitLost],
        vec![Refused, None, None, None, AnswerLost],
        vec![Refused, None, None, None, Refused, CommitLost, None, AnswerLost],
        // The transaction that closes the stretch.
        vec![None, None, None, None, AnswerLost],
        vec![None, None, None, None, CommitLost, Unreachable],
        vec![None, None, None, None, Forgotten],
        vec![UndoLost, Unreachable, Unreachable, Unreachable, Unreachable],
    ] {
        let (store, rows) = (MemoryStore::new(), Books::new());
        ten_books(&store, 1..=1_500).await;
        let divided = Divided::<4>(Notebooks::on(&rows));
        let config = Config::new().tail_page(100);
        let desk = Desk::builder(store.clone()).config(config).projection(divided.clone()).start();
        let desk = desk.await.unwrap();
        until_caught_up(&desk, "notebooks").await;
        divided.0.rows.then(glitches.clone());
        rebuild::<4>(&desk).await;
        check(&rows, &store).await;
        assert_eq!(status(&desk, "notebooks").await.parked, 0, "{glitches:?}");
        desk.shutdown().await;
    }
}

/// G7: what a server forgets that was said to be committed is made again in a rebuild that is not divided as well.
#[tokio::test(start_paused = true)]
async fn g7_what_a_server_forgets_is_made_again() {
    use Glitch::{CommitLost, Forgotten, None, Unreachable};
    for glitches in [
        vec![Forgotten],
        vec![Forgotten, Unreachable],
        vec![None, Forgotten, CommitLost],
        vec![None, Forgotten, None, Unreachable],
    ] {
        let (store, rows) = (MemoryStore::new(), Books::new());
        ten_books(&store, 1..=500).await;
        let undivided = Divided::<1>(Notebooks::on(&rows));
        let config = Config::new().tail_page(100);
        let desk = Desk::builder(store.clone()).config(config).projection(undivided.clone()).start();
        let desk = desk.await.unwrap();
        until_caught_up(&desk, "notebooks").await;
        undivided.0.rows.then(glitches);
        rebuild::<1>(&desk).await;
        check(&rows, &store).await;
        desk.shutdown().await;
    }
}

/// G7: nor is it forgotten that a key is parked.
#[tokio::test(start_paused = true)]
async fn g7_what_a_server_forgets_of_parked_keys_is_written_again() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::default());
    ten_books(&store, 1..=200).await;
    let undivided = Divided::<1>(Notebooks::on(&rows).with_faults(&faults));
    let desk = desk(&store, undivided.clone()).await;
    until_caught_up(&desk, "notebooks").await;
    faults.set("1", Fault::Fail);
    // The batch, the event that fails, and what is written of its key.
    undivided.0.rows.then([Glitch::None, Glitch::None, Glitch::Forgotten]);
    rebuild::<1>(&desk).await;
    assert!(book(&rows, "1").is_empty());
    faults.mend("1");
    let handle = desk.handler("notebooks").unwrap();
    until(async || handle.retry_parked("book-1").await.ok()).await;
    until(async || (book(&rows, "1").len() == 20).then_some(())).await;
    check(&rows, &store).await;
    desk.shutdown().await;
}

/// T-429: a node that stands still in a partition is followed, and what it wrote of that is undone when it comes back.
#[tokio::test]
async fn t_429_a_node_that_stood_still_in_a_partition_is_followed() {
    let (clock, rows, faults) = (TestClock::new(), Books::new(), Faults::default());
    let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
    ten_books(&store, 1..=1_500).await;
    let divided = Divided::<4>(Notebooks::on(&rows).with_faults(&faults));
    let first = node("first", &store, divided.clone()).await;
    until_caught_up(&first, "notebooks").await;
    let gate = Gate::shut();
    faults.set("1407", Fault::Hold(gate.clone()));
    first.projection::<Divided<4>>().unwrap().rebuild().await.unwrap();
    soon(gate.arrival()).await;
    faults.mend("1407");
    let second = node("second", &store, divided).await;
    // The store's time goes on, the first node's does not.
    clock.advance(Duration::from_secs(20));
    until_active(&rows, 2).await;
    gate.open();
    until_state(&first, "notebooks", HandlerState::Passive).await;
    take_notes(&second, &[("7", "more")]).await;
    check(&rows, &store).await;
    first.shutdown().await;
    second.shutdown().await;
}

/// EV-82: divided rebuilds while much is written lose nothing and repeat nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_082_divided_rebuilds_under_live_writes_lose_nothing() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    ten_books(&store, 1..=2_000).await;
    let desk = desk(&store, Divided::<4>(Notebooks::on(&rows))).await;
    until_caught_up(&desk, "notebooks").await;
    let writer = async {
        for number in 2_001..=4_000 {
            desk.dispatch(note(&(number % 10).to_string(), number.to_string())).await.unwrap();
        }
    };
    let rebuilds = async {
        for _ in 0..3 {
            rebuild::<4>(&desk).await;
        }
    };
    soon(futures_util::future::join(writer, rebuilds)).await;
    until_caught_up(&desk, "notebooks").await;
    check(&rows, &store).await;
    desk.shutdown().await;
}

/// Rows in memory that several keys write to: what was written side by side is refused, and written in order.
#[tokio::test]
async fn a_row_of_several_keys_misses_nothing() {
    #[derive(Clone, Default)]
    struct Counts(MemoryRows<&'static str, usize>);

    #[projection(name = "counts", interested_in = [Noted], rebuild_partitions = 4)]
    impl Counts {
        fn rows(&self) -> &MemoryRows<&'static str, usize> {
            &self.0
        }

        fn on_noted(&self, _event: &Noted, rows: &mut RowsMut<&'static str, usize>) {
            *rows.row("notes") += 1;
        }
    }

    let (store, counts) = (MemoryStore::new(), Counts::default());
    ten_books(&store, 1..=1_500).await;
    let desk = desk(&store, counts.clone()).await;
    until_caught_up(&desk, "counts").await;
    soon(desk.projection::<Counts>().unwrap().rebuild().await.unwrap().switched()).await.unwrap();
    assert_eq!(counts.0.get("notes"), Some(1_500));
    desk.shutdown().await;
}

#[tokio::test]
async fn a_number_of_partitions_that_makes_no_sense_is_refused() {
    for started in [
        Desk::builder(MemoryStore::new()).projection(Divided::<0>::default()).start().await,
        Desk::builder(MemoryStore::new()).projection(Divided::<1_025>::default()).start().await,
    ] {
        let Err(StartError::Invalid { faults, .. }) = started else { panic!("{started:?}") };
        assert!(matches!(&faults[..], [StartFault::InvalidRebuildPartitions { .. }]), "{faults:?}");
        assert!(faults[0].to_string().contains("1 to 1,024"), "{faults:?}");
    }
}
