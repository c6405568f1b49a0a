//! Commits of records that expect something of the records they change.

use chrono::{DateTime, Utc};
use cqrs_core::store::{
    AppendError, CheckpointError, CheckpointStore as _, HandlerCommit, HandlerRecord, StoreError,
};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::PostgresStore;
use crate::change::Twice;
use crate::records::Changes;
use crate::rows::signed;
use crate::session::Query;

/// The changes of a commit, and what it expects, as columns.
struct Expecting {
    changes: Changes,
    /// For each record that is written whether there must be none.
    are_new: Vec<bool>,
    kinds: Vec<String>,
    keys: Vec<String>,
    positions: Vec<i64>,
    due_at: Vec<Option<DateTime<Utc>>>,
    data: Vec<String>,
}

/// What the database tells of such a commit.
#[derive(Default)]
struct Told {
    is_owner: bool,
    /// The kind and key of a record that is not as expected.
    changed: Option<(String, String)>,
}

impl Expecting {
    fn of(handler: &str, commit: HandlerCommit) -> Self {
        let HandlerCommit { records, mut expected, .. } = commit;
        expected.retain(|place, _| records.contains_key(place));
        let put = records.iter().filter(|(_, record)| record.is_some());
        let are_new = put.map(|(place, _)| expected.get(place).is_some_and(Option::is_none)).collect();
        let changes = Changes::of(handler, HandlerCommit { records, ..HandlerCommit::new() });
        let mut expecting = Self {
            changes,
            are_new,
            kinds: Vec::new(),
            keys: Vec::new(),
            positions: Vec::new(),
            due_at: Vec::new(),
            data: Vec::new(),
        };
        for ((kind, key), record) in expected {
            let Some(record) = record else { continue };
            expecting.kinds.push(kind.into_owned());
            expecting.keys.push(key);
            expecting.positions.push(signed(record.position));
            expecting.due_at.push(record.due_at);
            expecting.data.push(String::from_utf8_lossy(&record.data).into_owned());
        }
        expecting
    }

    fn bind(&self, query: Query<'static>) -> Query<'static> {
        let query = self.changes.bind(query).bind(self.are_new.clone());
        let query = query.bind(self.kinds.clone()).bind(self.keys.clone()).bind(self.positions.clone());
        query.bind(self.due_at.clone()).bind(self.data.clone())
    }
}

impl Told {
    fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        let (kind, key): (Option<String>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Self { is_owner: row.try_get(0)?, changed: kind.zip(key) })
    }

    fn refusal(self, handler: &str) -> Option<CheckpointError> {
        let (kind, key) = self.changed?;
        Some(CheckpointError::Changed { handler: handler.to_owned(), kind, key })
    }
}

impl PostgresStore {
    /// A commit of the owner. The number of one that was made already, by this very call, is known to the database.
    pub(crate) async fn commit_expecting(
        &self,
        handler: &str,
        epoch: u64,
        commit: HandlerCommit,
        number: i64,
    ) -> Result<(), CheckpointError> {
        let position = commit.position.map(signed);
        let expecting = Expecting::of(handler, commit);
        let bind = |query| expecting.bind(query).bind(position).bind(signed(epoch)).bind(number);
        let told = self.ask_one(&self.shared.statements.commit_expecting, bind, Told::of).await?;
        let told = told.unwrap_or_default();
        if !told.is_owner {
            return Err(CheckpointError::Fenced { handler: handler.to_owned(), epoch });
        }
        told.refusal(handler).map_or(Ok(()), Err)
    }

    /// A change by whoever is not the owner.
    pub(crate) async fn change_expecting(
        &self,
        handler: &str,
        commit: HandlerCommit,
    ) -> Result<(), CheckpointError> {
        let expecting = Expecting::of(handler, commit.clone());
        let bind = |query| expecting.bind(query);
        // Made a second time, it finds what it does not expect.
        let sql = &self.shared.statements.change_expecting;
        let changed = self.change(sql, Twice::Harmless, bind, Told::of).await.map_err(of_change)?;
        let Some(refusal) = changed.told.refusal(handler) else { return Ok(()) };
        if !changed.was_lost {
            return Err(refusal);
        }
        // What has changed may be its own doing.
        match self.has_put(handler, &commit).await? {
            true => Ok(()),
            false => Err(StoreError::Unavailable(refusal.into()).into()),
        }
    }

    /// Whether a change that only adds and replaces is there.
    async fn has_put(&self, handler: &str, commit: &HandlerCommit) -> Result<bool, StoreError> {
        for ((kind, key), record) in &commit.records {
            let Some(record) = record else { return Ok(false) };
            let found = self.record(handler, kind, key).await?;
            if !found.is_some_and(|found| is_same(&found, record)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a record is kept as it was to be written.
fn is_same(found: &HandlerRecord, record: &HandlerRecord) -> bool {
    let micros = |record: &HandlerRecord| record.due_at.map(|due_at| due_at.timestamp_micros());
    (found.position, &found.data) == (record.position, &record.data) && micros(found) == micros(record)
}

/// A change that is no append fails in the store, or has an outcome that is unknown.
fn of_change(error: AppendError) -> StoreError {
    match error {
        AppendError::Store(error) => error,
        unknown => StoreError::Unavailable(unknown.into()),
    }
}
