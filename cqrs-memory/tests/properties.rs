//! Whatever is appended, in whatever order: the store does what a far simpler model of it says.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use cqrs_core::event::Metadata;
use cqrs_core::id::{CausationId, CommandId, CorrelationId, EventId};
use cqrs_core::store::{
    Append, AppendError, Appended, Direction, EventData, EventFilter, EventStore, ExpectedVersion,
    RecordedEvent, StreamId, StreamWrite, WrittenStream,
};
use cqrs_memory::MemoryStore;
use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

/// An append in small numbers, so that streams, append ids and event ids meet each other often.
#[derive(Clone, Debug)]
struct Planned {
    id: u8,
    writes: Vec<PlannedWrite>,
}

#[derive(Clone, Debug)]
struct PlannedWrite {
    stream: u8,
    expected: ExpectedVersion,
    event_ids: Vec<u16>,
}

fn expectation() -> impl Strategy<Value = ExpectedVersion> {
    prop_oneof![
        4 => Just(ExpectedVersion::Any),
        1 => Just(ExpectedVersion::NoStream),
        1 => Just(ExpectedVersion::StreamExists),
        3 => (0..6_u64).prop_map(ExpectedVersion::Exact),
    ]
}

fn planned() -> impl Strategy<Value = Planned> {
    let write = (0..4_u8, expectation(), vec(0..2_000_u16, 0..4))
        .prop_map(|(stream, expected, event_ids)| PlannedWrite { stream, expected, event_ids });
    (0..60_u8, vec(write, 0..4)).prop_map(|(id, writes)| Planned { id, writes })
}

fn stream(number: u8) -> StreamId {
    StreamId::new(format!("account-{number}")).unwrap()
}

impl Planned {
    fn append(&self) -> Append {
        Append {
            id: CommandId::from(Uuid::from_u128(self.id.into())),
            writes: self.writes.iter().map(PlannedWrite::write).collect(),
        }
    }
}

impl PlannedWrite {
    fn write(&self) -> StreamWrite {
        StreamWrite::Events {
            stream_id: stream(self.stream),
            expected: self.expected,
            events: self.event_ids.iter().map(|id| event(*id)).collect(),
        }
    }
}

fn event(id: u16) -> EventData {
    EventData {
        event_id: event_id(id),
        event_type: if id.is_multiple_of(3) { "Third" } else { "Other" }.into(),
        schema_version: 1,
        data: Bytes::from(id.to_string()),
        metadata: Metadata::new(),
        causation_id: CausationId::from(Uuid::nil()),
        correlation_id: CorrelationId::from(Uuid::nil()),
    }
}

fn event_id(id: u16) -> EventId {
    EventId::from(Uuid::from_u128(id.into()))
}

/// The kinds of outcome; details of failures are the conformance suite's.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Made(Appended),
    AlreadyAppended,
    StreamTwice,
    Conflict,
    Duplicate,
}

impl From<Result<Appended, AppendError>> for Outcome {
    fn from(result: Result<Appended, AppendError>) -> Self {
        match result {
            Ok(appended) => Self::Made(appended),
            Err(error) => Self::from(error),
        }
    }
}

impl From<AppendError> for Outcome {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::AlreadyAppended { .. } => Self::AlreadyAppended,
            AppendError::StreamTwice { .. } => Self::StreamTwice,
            AppendError::WrongExpectedVersion { .. } => Self::Conflict,
            AppendError::DuplicateEvent { .. } => Self::Duplicate,
            other => panic!("no append of these can fail so: {other}"),
        }
    }
}

/// A list of who wrote what, and nothing to look it up with.
#[derive(Clone, Debug, Default)]
struct Model {
    log: Vec<(u8, u16)>,
    outcomes: HashMap<u8, Appended>,
}

impl Model {
    fn stream(&self, number: u8) -> Vec<u16> {
        let of_stream = self.log.iter().filter(|(stream, _)| *stream == number);
        of_stream.map(|(_, id)| *id).collect()
    }

    fn append(&mut self, planned: &Planned) -> Outcome {
        if let Some(first) = self.outcomes.get(&planned.id) {
            return Outcome::Made(Appended { repeated: true, ..first.clone() });
        }
        let streams: HashSet<u8> = planned.writes.iter().map(|write| write.stream).collect();
        if streams.len() < planned.writes.len() {
            return Outcome::StreamTwice;
        }
        let as_expected =
            |write: &PlannedWrite| write.expected.allows(self.stream(write.stream).len() as u64);
        if !planned.writes.iter().all(as_expected) {
            return Outcome::Conflict;
        }
        let mut stored: HashSet<u16> = self.log.iter().map(|(_, id)| *id).collect();
        if !planned.writes.iter().flat_map(|write| &write.event_ids).all(|id| stored.insert(*id)) {
            return Outcome::Duplicate;
        }
        let before = self.log.len();
        let mut written = Vec::new();
        for write in &planned.writes {
            self.log.extend(write.event_ids.iter().map(|id| (write.stream, *id)));
            written.push(WrittenStream {
                stream_id: stream(write.stream),
                version: self.stream(write.stream).len() as u64,
                events: write.event_ids.len() as u64,
            });
        }
        let appended = Appended {
            streams: written,
            position: if self.log.len() > before { self.log.len() as u64 } else { 0 },
            repeated: false,
        };
        self.outcomes.insert(planned.id, appended.clone());
        Outcome::Made(appended)
    }

    /// Several appends as one, on a copy that takes the place of the model when all are made.
    fn append_all(&mut self, plan: &[Planned]) -> Result<Vec<Appended>, Outcome> {
        let ids: HashSet<u8> = plan.iter().map(|planned| planned.id).collect();
        if ids.len() < plan.len() || ids.iter().any(|id| self.outcomes.contains_key(id)) {
            return Err(Outcome::AlreadyAppended);
        }
        let mut after = self.clone();
        let mut made = Vec::new();
        for planned in plan {
            match after.append(planned) {
                Outcome::Made(appended) => made.push(appended),
                failure => return Err(failure),
            }
        }
        *self = after;
        Ok(made)
    }
}

/// What identifies a recorded event.
fn essence(event: &RecordedEvent) -> (u64, StreamId, u64, EventId) {
    (event.position, event.stream_id.clone(), event.stream_version, event.event_id)
}

async fn log_of(store: &MemoryStore) -> Vec<RecordedEvent> {
    store.read_log(0, &EventFilter::all(), usize::MAX).await.unwrap().events
}

async fn check_against_model(store: &MemoryStore, model: &Model) {
    let mut versions: HashMap<u8, u64> = HashMap::new();
    let expected: Vec<_> = (1..)
        .zip(&model.log)
        .map(|(position, (number, id))| {
            let version = versions.entry(*number).or_default();
            *version += 1;
            (position, stream(*number), *version, event_id(*id))
        })
        .collect();
    let log = log_of(store).await;
    assert_eq!(log.iter().map(essence).collect::<Vec<_>>(), expected);
    assert_eq!(EventStore::head(store).await.unwrap(), expected.len() as u64);
    assert_eq!(*store.watch_head().borrow(), expected.len() as u64);
    for number in 0..4 {
        let read = store.read_stream(&stream(number), 1, Direction::Forward, usize::MAX).await.unwrap();
        let of_stream: Vec<_> = expected.iter().filter(|event| event.1 == stream(number)).cloned().collect();
        assert_eq!(read.iter().map(essence).collect::<Vec<_>>(), of_stream);
        let version = store.stream_info(&stream(number)).await.unwrap().map(|info| info.version);
        assert_eq!(version, versions.get(&number).copied());
    }
}

/// What G2 to G4 promise, of a log alone.
fn check_guarantees(log: &[RecordedEvent]) {
    let mut versions: HashMap<&StreamId, u64> = HashMap::new();
    for (position, event) in (1..).zip(log) {
        assert_eq!(event.position, position, "positions are 1, 2, 3, ...");
        let version = versions.entry(&event.stream_id).or_default();
        *version += 1;
        assert_eq!(event.stream_version, *version, "versions are 1, 2, 3, ...");
    }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap().block_on(future);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// One after the other: every outcome, and all that can be read, is the model's.
    #[test]
    fn appends_in_sequence_do_what_the_model_does(plan in vec(planned(), 0..60)) {
        run(async {
            let store = MemoryStore::new();
            let mut model = Model::default();
            for planned in &plan {
                let outcome = Outcome::from(store.append(planned.append()).await);
                assert_eq!(outcome, model.append(planned), "{planned:?}");
            }
            check_against_model(&store, &model).await;
        });
    }

    /// Several as one, one after the other: all or none of them.
    #[test]
    fn appends_as_one_do_what_the_model_does(plan in vec(vec(planned(), 0..5), 0..30)) {
        run(async {
            let store = MemoryStore::new();
            let mut model = Model::default();
            for planned in &plan {
                let appends = planned.iter().map(Planned::append).collect();
                let outcomes = store.append_all(appends).await.map_err(Outcome::from);
                assert_eq!(outcomes, model.append_all(planned), "{planned:?}");
                for Planned { id, .. } in planned {
                    let known = store.outcome(CommandId::from(Uuid::from_u128((*id).into()))).await.unwrap();
                    assert_eq!(known.is_some(), model.outcomes.contains_key(id));
                }
                check_against_model(&store, &model).await;
            }
        });
    }

    /// All at once: the log is gapless, appends are whole, and one id has one outcome.
    #[test]
    fn appends_at_once_keep_the_guarantees(plan in vec(planned(), 1..40)) {
        run(async {
            let store = MemoryStore::new();
            let mut callers = tokio::task::JoinSet::new();
            for planned in plan {
                let store = store.clone();
                callers.spawn(async move {
                    let outcome = Outcome::from(store.append(planned.append()).await);
                    (planned, outcome)
                });
            }
            let results = callers.join_all().await;
            let log = log_of(&store).await;
            check_guarantees(&log);

            let mut written = 0;
            let mut firsts: HashMap<u8, Appended> = HashMap::new();
            for (planned, outcome) in &results {
                if let Outcome::Made(appended) = outcome && !appended.repeated {
                    assert!(firsts.insert(planned.id, appended.clone()).is_none(), "one id was made twice");
                    let ids: Vec<EventId> =
                        planned.writes.iter().flat_map(|write| &write.event_ids).map(|id| event_id(*id)).collect();
                    written += ids.len();
                    let end = usize::try_from(appended.position).unwrap();
                    let whole = &log[end.saturating_sub(ids.len())..end];
                    let found: Vec<EventId> = whole.iter().map(|event| event.event_id).collect();
                    assert_eq!(found, ids, "an append lies together in the log");
                }
            }
            assert_eq!(log.len(), written, "what failed wrote nothing");
            for (planned, outcome) in &results {
                if let Outcome::Made(appended) = outcome {
                    let first = &firsts[&planned.id];
                    assert_eq!((&appended.streams, appended.position), (&first.streams, first.position));
                }
            }
        });
    }

    /// Pages of any size, put together, are the log that passes the filter.
    #[test]
    fn pages_put_together_are_the_log(counts in vec(0..30_usize, 1..10), page in 1..20_usize, third in any::<bool>()) {
        run(async {
            let store = MemoryStore::new();
            let mut next = 0_u16;
            for (number, count) in (0..).zip(counts) {
                let ids: Vec<u16> = (next..).take(count).collect();
                next += u16::try_from(count).unwrap();
                let write = PlannedWrite { stream: number % 3, expected: ExpectedVersion::Any, event_ids: ids };
                store.append(Planned { id: number, writes: vec![write] }.append()).await.unwrap();
            }
            let filter = if third { EventFilter::types(["Third"]) } else { EventFilter::all() };
            let mut read = Vec::new();
            let mut after = 0;
            loop {
                let found = store.read_log(after, &filter, page).await.unwrap().events;
                let Some(last) = found.last() else { break };
                assert!(found.len() <= page);
                after = last.position;
                read.extend(found);
            }
            let mut log = log_of(&store).await;
            log.retain(|event| filter.passes(event));
            assert_eq!(read, log);
        });
    }
}
