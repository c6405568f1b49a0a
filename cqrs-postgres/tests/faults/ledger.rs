use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use cqrs_core::id::CommandId;
use cqrs_core::store::{Append, AppendError, Appended, EventData, EventStore as _, StoreError, StreamWrite};
use cqrs_postgres::PostgresStore;
use cqrs_postgres::testing::TestSchema;
use futures_util::future::join_all;
use sqlx::PgConnection;
use tokio::sync::watch;
use uuid::Uuid;

use crate::support::in_time;

/// What callers were told of their appends, to be held against the log.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Mutex<HashMap<CommandId, Entry>>,
    written: watch::Sender<u64>,
}

#[derive(Clone, Debug)]
struct Entry {
    append: Append,
    written: Option<Appended>,
    /// Some answer was that nobody knows.
    is_open: bool,
}

/// An event as it lies in the log.
struct Row {
    position: i64,
    stream: String,
    version: i64,
    event_id: Uuid,
}

impl Ledger {
    /// Makes an append, and notes what was told.
    pub(crate) async fn append(
        &self,
        store: &PostgresStore,
        append: &Append,
    ) -> Result<Appended, AppendError> {
        let outcome = store.append(append.clone()).await;
        self.note(append, &outcome);
        outcome
    }

    /// Makes an append as a client does: under the same id until it has a definite answer.
    pub(crate) async fn insist(
        &self,
        store: &PostgresStore,
        append: &Append,
    ) -> Result<Appended, AppendError> {
        loop {
            let outcome = self.append(store, append).await;
            if !matches!(
                outcome,
                Err(AppendError::OutcomeUnknown { .. } | AppendError::Store(StoreError::Unavailable(_)))
            ) {
                return outcome;
            }
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn note(&self, append: &Append, outcome: &Result<Appended, AppendError>) {
        let mut entries = self.entries();
        let fresh = || Entry { append: append.clone(), written: None, is_open: false };
        let entry = entries.entry(append.id).or_insert_with(fresh);
        match outcome {
            Ok(told) => match &entry.written {
                Some(first) => assert_same(first, told),
                None => {
                    entry.written = Some(told.clone());
                    self.written.send_modify(|count| *count += 1);
                }
            },
            Err(AppendError::OutcomeUnknown { append_id, .. }) => {
                assert_eq!(*append_id, append.id);
                entry.is_open = true;
            }
            Err(error) => {
                assert!(entry.written.is_none(), "{} was written, and is refused then: {error}", append.id);
            }
        }
    }

    /// Notes an append of which nobody was told anything.
    pub(crate) fn leave_open(&self, append: &Append) {
        let entry = Entry { append: append.clone(), written: None, is_open: true };
        self.entries().entry(append.id).or_insert(entry);
    }

    /// Waits until further appends were acknowledged.
    pub(crate) async fn grow(&self, by: u64) {
        let mut written = self.written.subscribe();
        let goal = *written.borrow() + by;
        in_time(written.wait_for(|count| *count >= goal)).await.unwrap();
    }

    /// How many appends were acknowledged.
    pub(crate) fn written(&self) -> u64 {
        *self.written.borrow()
    }

    /// That the log is what was told, that every append has the same outcome when it is made again, and that this
    /// changed nothing.
    pub(crate) async fn prove(&self, schema: &TestSchema, store: &PostgresStore) {
        self.check(schema).await;
        self.repeat(store).await;
        self.check(schema).await;
    }

    async fn repeat(&self, store: &PostgresStore) {
        let entries: Vec<Entry> = self.entries().values().cloned().collect();
        let told = entries.iter().filter(|entry| entry.written.is_some() || entry.is_open);
        in_time(join_all(told.map(async |entry| {
            let again = self.append(store, &entry.append).await;
            if entry.written.is_some() {
                assert!(again.as_ref().is_ok_and(|first| first.repeated), "{again:?}");
            }
            assert!(!matches!(again, Err(AppendError::OutcomeUnknown { .. })), "{again:?}");
        })))
        .await;
    }

    /// Reads the log by plain SQL: positions and versions without a hole, every acknowledged append once at the place
    /// that was told, every unknown one wholly or not at all, and nothing else.
    pub(crate) async fn check(&self, schema: &TestSchema) {
        // One snapshot: what is executed late may come in between.
        let mut snapshot = schema.connect().await.unwrap();
        sqlx::raw_sql("begin isolation level repeatable read").execute(&mut snapshot).await.unwrap();
        let rows = rows(&mut snapshot).await;
        assert_gapless(&mut snapshot, &rows).await;
        let outcomes = outcomes(&mut snapshot).await;
        let mut places: HashMap<Uuid, &Row> = rows.iter().map(|row| (row.event_id, row)).collect();
        assert_eq!(places.len(), rows.len(), "no event is in the log twice");
        for (id, entry) in &*self.entries() {
            let events = events_of(&entry.append);
            let found: Vec<&Row> =
                events.iter().filter_map(|event| places.remove(&event.event_id.as_uuid())).collect();
            let outcome = outcomes.get(&id.as_uuid());
            if found.is_empty() {
                assert_eq!(entry.written, None, "append {id} was acknowledged, and is not there");
                assert_eq!(outcome, None, "append {id} is remembered, and not there");
                continue;
            }
            assert_eq!(found.len(), events.len(), "append {id} is there in part");
            assert!(entry.written.is_some() || entry.is_open, "append {id} was refused, and is there");
            assert!(
                found.windows(2).all(|pair| pair[0].position + 1 == pair[1].position),
                "the events of append {id} lie apart"
            );
            let last = found[found.len() - 1].position;
            assert_eq!(outcome, Some(&last), "append {id} is remembered as it was written");
            if let Some(told) = &entry.written {
                assert_eq!(i64::try_from(told.position).unwrap(), last, "append {id} stands elsewhere");
                let versions = entry.append.writes.iter().zip(&told.streams);
                for (write, stream) in versions.filter(|(_, stream)| stream.events > 0) {
                    let last = found.iter().rfind(|row| row.stream == write.stream_id().as_str()).unwrap();
                    assert_eq!(last.version, i64::try_from(stream.version).unwrap());
                }
            }
        }
        assert!(places.is_empty(), "{} events that nobody has appended", places.len());
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<CommandId, Entry>> {
        self.entries.lock().unwrap()
    }
}

fn assert_same(first: &Appended, again: &Appended) {
    assert_eq!((&first.streams, first.position), (&again.streams, again.position));
}

fn events_of(append: &Append) -> Vec<&EventData> {
    let events = append.writes.iter().flat_map(|write| match write {
        StreamWrite::Events { events, .. } => events.as_slice(),
        _ => &[],
    });
    events.collect()
}

async fn rows(snapshot: &mut PgConnection) -> Vec<Row> {
    let sql = "select position, name, e.version, event_id from events e join streams using (stream_id) \
               order by position";
    let rows: Vec<(i64, String, i64, Uuid)> = sqlx::query_as(sql).fetch_all(snapshot).await.unwrap();
    let row = |(position, stream, version, event_id)| Row { position, stream, version, event_id };
    rows.into_iter().map(row).collect()
}

async fn assert_gapless(snapshot: &mut PgConnection, rows: &[Row]) {
    let mut versions: HashMap<&str, i64> = HashMap::new();
    for (position, row) in (1..).zip(rows) {
        assert_eq!(row.position, position, "positions have no hole");
        let version = versions.entry(&row.stream).or_insert(0);
        *version += 1;
        assert_eq!(row.version, *version, "versions of {} have no hole", row.stream);
    }
    let streams: Vec<(String, i64)> = sqlx::query_as("select name, version from streams where version > 0")
        .fetch_all(snapshot)
        .await
        .unwrap();
    let streams: HashMap<&str, i64> =
        streams.iter().map(|(name, version)| (name.as_str(), *version)).collect();
    assert_eq!(streams, versions, "each stream is at the version of its last event");
}

/// The last position of each append that is remembered.
async fn outcomes(snapshot: &mut PgConnection) -> HashMap<Uuid, i64> {
    let rows: Vec<(Uuid, i64)> =
        sqlx::query_as("select append_id, max(position) from appends group by append_id")
            .fetch_all(snapshot)
            .await
            .unwrap();
    rows.into_iter().collect()
}
