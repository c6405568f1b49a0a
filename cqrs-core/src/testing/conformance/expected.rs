//! Commits of records that expect something of the records they change.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixture::Leases as _;
use crate::id::NodeId;
use crate::store::{CheckpointError, HandlerCommit, HandlerRecord, Store};

const HANDLER: &str = "scheduler";
const KIND: &str = "timer";

/// Who writes.
#[derive(Clone, Copy, Debug)]
enum Writer {
    Owner { epoch: u64 },
    Other,
}

impl Writer {
    async fn write(self, store: &Arc<dyn Store>, commit: HandlerCommit) -> Result<(), CheckpointError> {
        match self {
            Self::Owner { epoch } => store.commit(HANDLER, epoch, commit).await,
            Self::Other => store.change_records(HANDLER, commit).await,
        }
    }
}

fn record(key: &str, number: u64) -> HandlerRecord {
    let data = format!(r#"{{"number":{number},"text":"\u0000 'ä'"}}"#).into();
    HandlerRecord { kind: KIND.into(), key: key.to_owned(), position: number, due_at: Some(at(number)), data }
}

fn at(number: u64) -> DateTime<Utc> {
    let micros = 1_700_000_000_000_000 + i64::try_from(number).expect("a small number");
    DateTime::from_timestamp_micros(micros).expect("a time")
}

async fn own(store: &Arc<dyn Store>) -> u64 {
    store.take(HANDLER, NodeId::new(), Duration::ZERO).await.expect("nobody has the lease")
}

async fn writers(store: &Arc<dyn Store>) -> [Writer; 2] {
    [Writer::Owner { epoch: own(store).await }, Writer::Other]
}

/// Writes a record, and gives it as it is read.
async fn written(store: &Arc<dyn Store>, record: HandlerRecord) -> HandlerRecord {
    let key = record.key.clone();
    store.change_records(HANDLER, HandlerCommit::new().put(record)).await.expect("it expects nothing");
    read(store, &key).await.expect("it is there")
}

async fn read(store: &Arc<dyn Store>, key: &str) -> Option<HandlerRecord> {
    store.record(HANDLER, KIND, key).await.expect("records can be read")
}

async fn all(store: &Arc<dyn Store>) -> Vec<(String, u64)> {
    let records = store.records(HANDLER, KIND, None, 1_000).await.expect("records can be read");
    records.into_iter().map(|record| (record.key, record.position)).collect()
}

#[track_caller]
fn assert_changed(told: &Result<(), CheckpointError>, expected: &str) {
    let is_told = matches!(told, Err(CheckpointError::Changed { handler, kind, key })
        if handler == HANDLER && kind == KIND && key == expected);
    assert!(is_told, "{expected:?} has changed: {told:?}");
}

/// What is as it was read is replaced and removed, and what is not there is added.
pub async fn what_is_as_expected_is_written(store: Arc<dyn Store>) {
    for writer in writers(&store).await {
        let never = HandlerRecord { due_at: None, ..record("never", 3) };
        let (first, second) = (written(&store, record("a", 1)).await, written(&store, record("b", 2)).await);
        let third = written(&store, never).await;
        let commit = HandlerCommit::new()
            .replace(first, record("a", 7))
            .remove_exactly(second)
            .remove_exactly(third)
            .put_new(record("new", 8))
            .put(record("any", 9))
            .remove(KIND, "none");
        writer.write(&store, commit).await.unwrap_or_else(|error| panic!("{writer:?}: {error:?}"));
        let left = [("a", 7), ("any", 9), ("new", 8)].map(|(key, number)| (key.to_owned(), number));
        assert_eq!(all(&store).await, left);
        let gone = ["a", "any", "new"].into_iter();
        let gone = gone.fold(HandlerCommit::new(), |gone, key| gone.remove(KIND, key));
        writer.write(&store, gone).await.expect("it expects nothing");
    }
}

/// One record that is otherwise refuses the whole commit, and it is told which.
pub async fn what_is_not_as_expected_changes_nothing(store: Arc<dyn Store>) {
    let [owner, other] = writers(&store).await;
    let known = written(&store, record("known", 1)).await;
    let late = HandlerRecord { due_at: Some(at(1) + TimeDelta::microseconds(1)), ..known.clone() };
    let never = HandlerRecord { due_at: None, ..known.clone() };
    let text = HandlerRecord { data: r#"{"number":2}"#.into(), ..known.clone() };
    let position = HandlerRecord { position: 2, ..known.clone() };
    let put = |record| HandlerCommit::new().put(record);
    for writer in [owner, other] {
        for odd in [&late, &never, &text, &position] {
            let replaced = HandlerCommit::new().replace(odd.clone(), record("known", 9));
            let removed = HandlerCommit::new().remove_exactly(odd.clone());
            for refused in [replaced, removed] {
                let refused = refused.position(9).put(record("beside", 9)).remove(KIND, "known too");
                assert_changed(&writer.write(&store, refused).await, "known");
            }
        }
        let new = HandlerCommit::new().position(9).put_new(record("known", 9)).put_new(record("zebra", 9));
        assert_changed(&writer.write(&store, new).await, "known");
        let gone = put(record("beside", 9)).position(9).remove_exactly(record("gone", 1));
        assert_changed(&writer.write(&store, gone.put_new(record("zebra", 9))).await, "gone");
        let gone = HandlerCommit::new().replace(record("gone", 1), record("gone", 2));
        assert_changed(&writer.write(&store, gone).await, "gone");
    }
    assert_eq!(all(&store).await, [("known".to_owned(), 1)]);
    assert_eq!(store.checkpoint(HANDLER).await.expect("checkpoints can be read"), None);
    let next = HandlerCommit::new().position(5).replace(known, record("known", 2));
    owner.write(&store, next).await.expect("what was refused is forgotten");
    assert_eq!(store.checkpoint(HANDLER).await.expect("checkpoints can be read"), Some(5));
}

/// What is expected of records that do not change, of another handler or of another kind, does not count.
pub async fn what_does_not_change_is_not_compared(store: Arc<dyn Store>) {
    for writer in writers(&store).await {
        let mut commit = HandlerCommit::new().put_new(record("a", 1));
        let place = |key: &str| (KIND.into(), key.to_owned());
        commit.expected.insert(place("never"), Some(record("never", 1)));
        let other = HandlerCommit::new().put(record("a", 3));
        store.change_records("other", other).await.expect("it expects nothing");
        let kind = HandlerRecord { kind: "instance".into(), ..record("a", 4) };
        store.change_records(HANDLER, HandlerCommit::new().put(kind)).await.expect("it expects nothing");
        writer.write(&store, commit).await.expect("it is new");
        assert_eq!(all(&store).await, [("a".to_owned(), 1)]);
        let gone = HandlerCommit::new().remove(KIND, "a");
        store.change_records(HANDLER, gone).await.expect("it expects nothing");
    }
}

/// Somebody who is not the owner any more is told so, whatever he expects, and changes nothing.
pub async fn a_fenced_owner_is_not_asked_what_he_expects(store: Arc<dyn Store>) {
    let (old, new) = (own(&store).await, own(&store).await);
    let known = written(&store, record("known", 1)).await;
    for commit in [
        HandlerCommit::new().remove_exactly(known.clone()),
        HandlerCommit::new().put_new(record("known", 2)),
        HandlerCommit::new().put_new(record("new", 2)).position(7),
    ] {
        let fenced = store.commit(HANDLER, old, commit).await;
        assert!(matches!(fenced, Err(CheckpointError::Fenced { epoch, .. }) if epoch == old), "{fenced:?}");
    }
    assert_eq!(all(&store).await, [("known".to_owned(), 1)]);
    let commit = HandlerCommit::new().remove_exactly(known);
    store.commit(HANDLER, new, commit).await.expect("it is the owner, and the record as it was read");
    assert_eq!(all(&store).await, []);
}

/// Writes commits at once, and gives which of them were written.
async fn race(store: &Arc<dyn Store>, commits: Vec<(Writer, HandlerCommit)>) -> Vec<bool> {
    let start = Arc::new(Barrier::new(commits.len()));
    let mut writing = JoinSet::new();
    for (number, (writer, commit)) in commits.into_iter().enumerate() {
        let (store, start) = (Arc::clone(store), Arc::clone(&start));
        writing.spawn(async move {
            start.wait().await;
            let told = writer.write(&store, commit).await;
            assert!(matches!(told, Ok(()) | Err(CheckpointError::Changed { .. })), "{told:?}");
            (number, told.is_ok())
        });
    }
    let mut told = writing.join_all().await;
    told.sort_unstable();
    told.into_iter().map(|(_, is_written)| is_written).collect()
}

/// How often a race is run.
const ROUNDS: u64 = 25;
/// How many take part.
const WRITERS: u64 = 6;

/// Of several who add a record of one name, all with others beside it, one does.
pub async fn of_concurrent_additions_one_is_made(store: Arc<dyn Store>) {
    let [owner, _] = writers(&store).await;
    for round in 0..ROUNDS {
        let name = |number: u64| format!("{round}-{number}");
        // Each shares a name with the one before and the one behind it, in a circle.
        let commits = (0..WRITERS).map(|number| {
            let writer = if number == 0 { owner } else { Writer::Other };
            let names = [name(number), name((number + 1) % WRITERS)];
            let add = |commit: HandlerCommit, name: &String| commit.put_new(record(name, number));
            (writer, names.iter().fold(HandlerCommit::new(), add))
        });
        let told = race(&store, commits.collect()).await;
        let records = all(&store).await.into_iter().filter(|(key, _)| key.starts_with(&format!("{round}-")));
        let mut found: Vec<u64> = records.map(|(_, number)| number).collect();
        found.sort_unstable();
        let made = (0..WRITERS).filter(|number| told[usize::try_from(*number).expect("a few")]);
        let made: Vec<u64> = made.flat_map(|number| [number, number]).collect();
        assert_eq!(found, made, "round {round}: whatever was made is there as a whole, and nothing else");
        assert!(!made.is_empty(), "round {round}: somebody is first");
    }
}

/// Of several who have read a record, the owner among them, one replaces or removes it.
pub async fn of_concurrent_changes_of_what_was_read_one_is_made(store: Arc<dyn Store>) {
    let [owner, _] = writers(&store).await;
    for round in 0..ROUNDS {
        let known = written(&store, record("a", 1_000)).await;
        let commits = (0..WRITERS).map(|number| {
            let made = record(&format!("made-{round}-{number}"), number);
            let commit = match number % 3 {
                0 => HandlerCommit::new().replace(known.clone(), record("a", number)),
                _ => HandlerCommit::new().remove_exactly(known.clone()),
            };
            (if number == round % 2 { owner } else { Writer::Other }, commit.put(made))
        });
        let told = race(&store, commits.collect()).await;
        let made: Vec<u64> =
            (0..WRITERS).zip(&told).filter_map(|(number, is)| is.then_some(number)).collect();
        assert_eq!(made.len(), 1, "round {round}: {told:?}");
        let left = made[0].is_multiple_of(3).then_some(made[0]);
        assert_eq!(read(&store, "a").await.map(|record| record.position), left, "round {round}");
        let records = all(&store).await.into_iter();
        let records = records.filter(|(key, _)| key.starts_with(&format!("made-{round}-")));
        assert_eq!(records.map(|(_, number)| number).collect::<Vec<_>>(), made, "round {round}");
    }
}

/// Somebody who expects nothing comes before or behind, never in between: what is removed as it was read is not what he
/// has written.
pub async fn what_expects_nothing_is_not_lost_between(store: Arc<dyn Store>) {
    let [owner, _] = writers(&store).await;
    for round in 0..ROUNDS {
        let known = written(&store, record("a", 1_000)).await;
        let (taker, putter) =
            if round.is_multiple_of(2) { (owner, Writer::Other) } else { (Writer::Other, owner) };
        let take = HandlerCommit::new().remove_exactly(known).put(record("taken", round));
        let put = HandlerCommit::new().put(record("a", round));
        let told = race(&store, vec![(taker, take), (putter, put)]).await;
        assert!(told[1], "it expects nothing");
        assert_eq!(read(&store, "a").await.map(|record| record.position), Some(round), "round {round}");
        let is_taken = read(&store, "taken").await.is_some_and(|taken| taken.position == round);
        assert_eq!(is_taken, told[0], "round {round}");
    }
}
