//! Rows that are written in the transaction of the events: whoever was answered finds them.

#![expect(clippy::disallowed_methods, reason = "a test joins what it spawns")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cqrs::application::{Config, ForeignRows, StartError, StartFault};
use cqrs::id::CommandId;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use cqrs::projection::{InlineError, RowsNotReady};
use futures_util::future::join_all;

use super::domain::*;

/// Writes each note into its book, together with the event.
#[derive(Clone, Default)]
pub struct Inline {
    rows: Books,
    faults: Faults,
}

#[projection(name = "notebooks", interested_in = [Noted], inline)]
impl Inline {
    fn rows(&self) -> &Books {
        &self.rows
    }

    async fn on_noted(&self, event: &Noted, rows: &mut RowsMut<String, Vec<String>>) -> Result<(), Broken> {
        rows.row(event.book.clone()).push(event.text.clone());
        self.faults.at(&event.text).await
    }

    async fn on_error(&self, _failure: &ProjectionFailure<Broken>) -> ErrorAction {
        ErrorAction::Park
    }
}

/// The next version, which shouts.
#[derive(Clone, Default)]
struct LoudInline {
    rows: Books,
}

#[projection(name = "notebooks", interested_in = [Noted], inline, version = 2)]
impl LoudInline {
    fn rows(&self) -> &Books {
        &self.rows
    }

    fn on_noted(&self, event: &Noted, rows: &mut RowsMut<String, Vec<String>>) {
        rows.row(event.book.clone()).push(event.text.to_uppercase());
    }
}

/// On rows of another kind.
#[derive(Clone, Default)]
struct InlineFlaky {
    rows: Flaky<Books>,
}

#[projection(name = "notebooks", interested_in = [Noted], inline)]
impl InlineFlaky {
    fn rows(&self) -> &Flaky<Books> {
        &self.rows
    }

    fn on_noted(&self, _event: &Noted) {}
}

/// Counts the notes of each book, in rows of its own.
#[derive(Clone, Default)]
struct Counts {
    rows: MemoryRows<String, u64>,
    faults: Faults,
}

#[projection(name = "counts", interested_in = [Noted], inline)]
impl Counts {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.rows
    }

    async fn on_noted(&self, event: &Noted, rows: &mut RowsMut<String, u64>) -> Result<(), Broken> {
        *rows.row(event.book.clone()) += 1;
        self.faults.at(&event.text).await
    }
}

fn inline(rows: &Books, faults: &Faults) -> Inline {
    Inline { rows: rows.clone(), faults: faults.clone() }
}

/// That the rows are what the log makes of them.
async fn check(store: &MemoryStore, rows: &Books, write: impl Fn(&str) -> String) {
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in log(store).await.iter().filter(|event| event.event_type == "desk.Noted") {
        let noted: Noted = serde_json::from_slice(&event.data).unwrap();
        expected.entry(noted.book).or_default().push(write(&noted.text));
    }
    assert_eq!(*rows.snapshot(), expected);
}

async fn check_plain(store: &MemoryStore, rows: &Books) {
    check(store, rows, str::to_owned).await;
}

/// Why an inline projection did not take the events of a command.
fn refusal<E: std::fmt::Debug>(error: DispatchError<E>) -> (String, InlineError) {
    assert_eq!(error.kind(), FailureKind::NotProjected);
    assert!(!error.is_committed() && !error.is_outcome_unknown());
    match error {
        DispatchError::NotProjected { projection, source, .. } => (projection, *source),
        error => panic!("{error:?}"),
    }
}

/// The rows hold the events of a command when it has returned, whoever dispatches meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_there_when_a_dispatch_returns() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let desk = desk(&store, inline(&rows, &Faults::default())).await;
    let dispatchers = (0..64).map(|at| {
        let (desk, rows) = (desk.clone(), rows.clone());
        tokio::spawn(async move {
            for number in 0..20 {
                let (name, text) = (format!("{}", at % 7), format!("{at}/{number}"));
                desk.dispatch(note(&name, &text)).await.unwrap();
                assert!(book(&rows, &name).contains(&text), "{text} is there");
                if number % 5 == 0 {
                    // Of no interest: these go by themselves.
                    desk.dispatch(Stamp { book: name }).await.unwrap();
                }
            }
        })
    });
    soon(join_all(dispatchers)).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(rows.read(|rows| rows.values().map(Vec::len).sum::<usize>()), 64 * 20, "each once");
    check_plain(&store, &rows).await;
    until_caught_up(&desk, "notebooks").await;
    desk.shutdown().await;
    check_plain(&store, &rows).await;
}

/// A command whose events cannot be projected is refused, nothing of it is stored, and the next one goes on.
#[tokio::test]
async fn what_cannot_be_projected_is_refused() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    faults.set("worse", Fault::Panic);
    let desk = desk(&store, inline(&rows, &faults)).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    let error = desk.dispatch(note("a", "bad")).await.unwrap_err();
    assert!(error.to_string().contains("inline projection \"notebooks\""), "{error}");
    let (projection, error) = refusal(error);
    assert_eq!(projection, "notebooks");
    assert!(matches!(error, InlineError::Failed(_)), "{error:?}");
    let (_, error) = refusal(desk.dispatch(note("a", "worse")).await.unwrap_err());
    assert!(matches!(&error, InlineError::Panicked(panic) if panic == "on purpose"), "{error:?}");
    assert_eq!(desk.dispatch(note("a", "2")).await.unwrap().version(), 2, "nothing was stored in between");
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    assert_eq!(status(&desk, "notebooks").await.parked, 0, "nothing is parked");
    check_plain(&store, &rows).await;
    desk.shutdown().await;
}

/// Commands that wait for one aggregate are appended together; the one that cannot be projected is refused alone.
#[tokio::test]
async fn of_commands_that_are_appended_together_one_is_refused() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    let desk = desk(&store, inline(&rows, &faults)).await;
    let gate = Gate::shut();
    faults.set("0", Fault::Hold(gate.clone()));
    let first = tokio::spawn(desk.dispatch(note("a", "0")).into_future());
    soon(gate.arrival()).await;
    let rest = ["1", "bad", "2", "3"].map(|text| tokio::spawn(desk.dispatch(note("a", text)).into_future()));
    tokio::task::yield_now().await;
    gate.open();
    soon(first).await.unwrap().unwrap();
    let rest = soon(join_all(rest)).await.into_iter().map(|done| done.unwrap().is_ok());
    assert_eq!(rest.collect::<Vec<_>>(), [true, false, true, true]);
    assert_eq!(book(&rows, "a"), texts(&["0", "1", "2", "3"]));
    check_plain(&store, &rows).await;
    desk.shutdown().await;
}

/// A projection that takes too long refuses its command, and keeps nobody waiting any longer.
#[tokio::test(start_paused = true)]
async fn a_projection_that_hangs_is_given_up() {
    let (store, rows, gate) = (MemoryStore::new(), Books::new(), Gate::shut());
    let faults = Faults::of("slow", Fault::Hold(gate.clone()));
    let limit = Duration::from_millis(700);
    let config = Config::new().inline_limit(limit);
    let desk =
        Desk::builder(store.clone()).config(config).projection(inline(&rows, &faults)).start().await.unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    let slow = tokio::spawn(desk.dispatch(note("a", "slow")).into_future());
    soon(gate.arrival()).await;
    // Another one that is not projected waits as well: positions have no hole.
    let other = tokio::spawn(desk.dispatch(Stamp { book: "b".to_owned() }).into_future());
    let (_, error) = refusal(soon(slow).await.unwrap().unwrap_err());
    assert!(matches!(error, InlineError::TimedOut { limit: told } if told == limit), "{error:?}");
    soon(other).await.unwrap().unwrap();
    desk.dispatch(note("a", "2")).await.unwrap();
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    check_plain(&store, &rows).await;
    desk.shutdown().await;
}

/// A command that is repeated has its first outcome, and is not projected again.
#[tokio::test]
async fn a_repeated_command_is_projected_once() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let desk = desk(&store, inline(&rows, &Faults::default())).await;
    let id = CommandId::new();
    let first = desk.dispatch(note("a", "1")).command_id(id).await.unwrap();
    let again = desk.dispatch(note("a", "1")).command_id(id).await.unwrap();
    assert_eq!((first.position(), first.version()), (again.position(), again.version()));
    assert_eq!(book(&rows, "a"), texts(&["1"]));
    desk.shutdown().await;
}

/// Events that another program has written are there with the next command, each once and in their order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_others_are_made_up_for() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    past(&store, 700).await;
    let first = node("first", &store, inline(&rows, &Faults::default())).await;
    let second = node("second", &store, inline(&rows, &Faults::default())).await;
    until_caught_up(&first, "notebooks").await;
    for round in 0..50 {
        let text = serde_json::json!({ "book": "a", "text": format!("other {round}") }).to_string();
        write(&store, "book-other", "desk.Noted", &[text]).await;
        let desk = if round % 2 == 0 { &first } else { &second };
        soon(desk.dispatch(note("b", round.to_string())).into_future()).await.unwrap();
        let others = book(&rows, "a").into_iter().filter(|text| text.starts_with("other")).count();
        assert_eq!((others, book(&rows, "b").last()), (round + 1, Some(&round.to_string())));
        check_plain(&store, &rows).await;
    }
    first.shutdown().await;
    second.dispatch(note("b", "last")).await.unwrap();
    check_plain(&store, &rows).await;
    until_caught_up(&second, "notebooks").await;
    second.shutdown().await;
}

/// Rows that lack too much are not written to: commands wait for them, and are refused when that takes too long.
#[tokio::test(start_paused = true)]
async fn commands_wait_for_rows_that_are_far_behind() {
    let (store, rows, gate) = (MemoryStore::new(), Books::new(), Gate::shut());
    past(&store, 600).await;
    let faults = Faults::of("1", Fault::Hold(gate.clone()));
    let desk = desk(&store, inline(&rows, &faults)).await;
    soon(gate.arrival()).await;
    let (_, error) = refusal(desk.dispatch(note("a", "too early")).await.unwrap_err());
    assert!(matches!(error, InlineError::NotReady(_)), "{error:?}");
    assert!(error.is_transient());
    let early = tokio::spawn(desk.dispatch(note("a", "early")).into_future());
    tokio::task::yield_now().await;
    faults.mend("1");
    gate.open();
    soon(early).await.unwrap().unwrap();
    assert_eq!(book(&rows, "a").last(), Some(&"early".to_owned()));
    check_plain(&store, &rows).await;
    desk.shutdown().await;
}

/// An event of another writer that cannot be projected is parked by the rows' owner; commands of its key are refused until
/// it is tried again, all others go on.
#[tokio::test]
async fn a_parked_key_refuses_its_commands() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    let desk = desk(&store, inline(&rows, &faults)).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    let bad = serde_json::json!({ "book": "a", "text": "bad" }).to_string();
    write(&store, "book-a", "desk.Noted", &[bad]).await;
    soon(desk.dispatch(note("b", "1")).into_future()).await.unwrap();
    let (_, error) = refusal(desk.dispatch(note("a", "2")).await.unwrap_err());
    assert!(matches!(&error, InlineError::Parked { key } if key == "book-a"), "{error:?}");
    faults.mend("bad");
    desk.handler("notebooks").unwrap().retry_parked("book-a").await.unwrap();
    until(async || (status(&desk, "notebooks").await.parked == 0).then_some(())).await;
    desk.dispatch(note("a", "3")).await.unwrap();
    assert_eq!(book(&rows, "a"), texts(&["1", "bad", "3"]));
    check_plain(&store, &rows).await;
    desk.shutdown().await;
}

/// All rows are made anew while commands go on, and each event is in them once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_rebuilt_while_commands_go_on() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let desk = desk(&store, inline(&rows, &Faults::default())).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..4).map(|at| {
        let (desk, rows, stop) = (desk.clone(), rows.clone(), stop.clone());
        tokio::spawn(async move {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let (name, text) = (format!("{at}"), format!("{count}"));
                desk.dispatch(note(&name, &text)).await.unwrap();
                assert_eq!(book(&rows, &name).last(), Some(&text));
                count += 1;
                tokio::task::yield_now().await;
            }
            count
        })
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..3 {
        let handle = desk.projection::<Inline>().unwrap();
        let rebuild = soon(handle.rebuild()).await.unwrap();
        soon(rebuild.switched()).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let written: usize = soon(join_all(writers)).await.into_iter().map(|done| done.unwrap()).sum();
    assert_eq!(rows.read(|rows| rows.values().map(Vec::len).sum::<usize>()), 1 + written);
    assert_eq!(generations(&rows).await.len(), 4);
    check_plain(&store, &rows).await;
    desk.shutdown().await;
}

/// A program with a higher version takes no commands before readers see its rows, and the one with the lower version none
/// from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_takes_commands_while_readers_see_rows_of_its_version() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let old = node("old", &store, inline(&rows, &Faults::default())).await;
    for number in 0..20 {
        old.dispatch(note("a", number.to_string())).await.unwrap();
    }
    let new = node("new", &store, LoudInline { rows: rows.clone() }).await;
    let taken = soon(async {
        loop {
            match new.dispatch(note("a", "new")).await {
                Ok(_) => return,
                Err(error) => match refusal(error) {
                    (_, InlineError::NotReady(RowsNotReady::OtherVersion { active: 1, own: 2 })) => {
                        // Unless readers see the new rows just now.
                        if let Err(error) = old.dispatch(note("a", "old")).await {
                            let (_, error) = refusal(error);
                            assert!(matches!(error, InlineError::NotReady(_)), "{error:?}");
                        }
                    }
                    (_, InlineError::NotReady(reason)) => assert!(reason.will_pass(), "{reason:?}"),
                    (_, error) => panic!("{error:?}"),
                },
            }
        }
    });
    taken.await;
    let (_, error) = refusal(old.dispatch(note("a", "late")).await.unwrap_err());
    assert!(
        matches!(error, InlineError::NotReady(RowsNotReady::OtherVersion { active: 2, own: 1 })),
        "{error:?}"
    );
    check(&store, &rows, str::to_uppercase).await;
    old.shutdown().await;
    new.dispatch(note("a", "last")).await.unwrap();
    check(&store, &rows, str::to_uppercase).await;
    new.shutdown().await;
}

/// Two inline projections: the rows of both hold the events, or of none.
#[tokio::test]
async fn the_rows_of_all_inline_projections_are_written_together() {
    let (store, rows, counts) = (MemoryStore::new(), Books::new(), Counts::default());
    let faults = Faults::default();
    let desk = Desk::builder(store.clone())
        .projection(inline(&rows, &faults))
        .projection(counts.clone())
        .start()
        .await
        .unwrap();
    desk.dispatch(note("a", "1")).await.unwrap();
    counts.faults.set("bad", Fault::Fail);
    let (projection, _) = refusal(desk.dispatch(note("a", "bad")).await.unwrap_err());
    assert_eq!(projection, "counts");
    counts.faults.mend("bad");
    faults.set("bad", Fault::Fail);
    let (projection, _) = refusal(desk.dispatch(note("a", "bad")).await.unwrap_err());
    assert_eq!(projection, "notebooks");
    faults.mend("bad");
    desk.dispatch(note("a", "2")).await.unwrap();
    assert_eq!((book(&rows, "a"), counts.rows.get("a")), (texts(&["1", "2"]), Some(2)));
    check_plain(&store, &rows).await;
    desk.shutdown().await;
}

/// A dispatch waits for no inline projection: its rows are there, whatever its owner does.
#[tokio::test]
async fn a_strong_dispatch_does_not_wait_for_an_inline_projection() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let desk = desk(&store, inline(&rows, &Faults::default())).await;
    desk.dispatch(note("a", "1")).await.unwrap();
    desk.handler("notebooks").unwrap().pause().await.unwrap();
    let named = Consistency::Handlers(vec!["notebooks".into()]);
    soon(desk.dispatch(note("a", "2")).consistency(named).into_future()).await.unwrap();
    soon(desk.dispatch(note("a", "3")).consistency(Strong).into_future()).await.unwrap();
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    desk.handler("notebooks").unwrap().resume().await.unwrap();
    until_caught_up(&desk, "notebooks").await;
    check_plain(&store, &rows).await;
    desk.shutdown().await;
}

/// Rows that cannot share a transaction with the store are refused at the start.
#[tokio::test]
async fn foreign_rows_are_refused_at_the_start() {
    let store = MemoryStore::new();
    let refused = Desk::builder(store.clone()).projection(InlineFlaky::default()).start().await;
    let Err(StartError::Invalid { faults, .. }) = refused else { panic!("{refused:?}") };
    assert!(
        matches!(&*faults, [StartFault::ForeignRows { projection, reason: ForeignRows::Kind, .. }] if projection == "notebooks"),
        "{faults:?}"
    );
    let text = faults[0].to_string();
    assert!(text.contains("the rows are of another kind than the store"), "{text}");
    // Nothing of it is left.
    let desk = desk(&store, Inline::default()).await;
    desk.shutdown().await;
}
