use std::fmt;
use std::time::Duration;

use cqrs_core::projection::{RowError, RowPlace, RowTransaction};
use cqrs_core::store::{HandlerCommit, HandlerRecord, StoreError};
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row as _, Transaction};
use tokio::time::timeout;

use crate::error::{Fault, store_error};
use crate::projection::PostgresRows;
use crate::projection::generations::number;
use crate::projection::mark::Mark;
use crate::projection::names::{aside, literal, namespace, quoted};
use crate::rows::{signed, unsigned};

/// How long undoing takes at most before the server is told to end it.
const UNDO: Duration = Duration::from_secs(1);

/// What `move_on` raises when the transaction is not to be committed.
const FENCED: &str = "CQ001";

const LOCK: &str = "select position from $schema.generations \
     where projection = $1 and generation = $2 and epoch = $3 for update";

const REMOVE: &str = "delete from $schema.records \
     where projection = $1 and generation = $2 and kind = $3 and key = $4";

const PUT: &str = "insert into $schema.records (projection, generation, kind, key, position, due_at, data) \
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (projection, generation, kind, key) \
     do update set position = excluded.position, due_at = excluded.due_at, data = excluded.data";

const MADE: &str = "update $schema.generations set is_made = true where projection = $1 and generation = $2";

/// Writes to the rows of a projection, which are made together with its position, or not at all.
pub struct PostgresRowTransaction {
    rows: PostgresRows,
    transaction: Transaction<'static, Postgres>,
    place: RowPlace,
    mark: Mark,
}

impl PostgresRowTransaction {
    pub(super) fn new(
        rows: PostgresRows,
        transaction: Transaction<'static, Postgres>,
        place: RowPlace,
        mark: Mark,
    ) -> Self {
        Self { rows, transaction, place, mark }
    }

    /// Makes the schema of a generation that readers do not see, and enters it.
    pub(super) async fn make(&mut self) -> Result<(), StoreError> {
        let generation = number(self.place.generation);
        let name = aside(&namespace(&self.rows.schema, &self.place.projection), generation);
        let (schema, path) = (quoted(&name), literal(&name));
        let sql = format!(
            "set local client_min_messages = warning; drop schema if exists {schema} cascade; \
             create schema {schema}; set local client_min_messages = notice; \
             select set_config('search_path', quote_ident({path}) || ', ' || current_setting('search_path'), true)"
        );
        let connection = &mut *self.transaction;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *connection).await.map_err(store_error)?;
        let made = self.rows.query(MADE).bind(&*self.place.projection).bind(generation);
        made.execute(connection).await.map(drop).map_err(store_error)
    }

    /// Whether statements may stay prepared when it has ended.
    pub(super) fn is_persistent(&self) -> bool {
        !self.rows.is_pooled
    }

    /// Keeps appends from writing to the rows until the transaction ends; tells up to where they are made.
    pub(super) async fn lock(&mut self) -> Result<u64, RowError> {
        let place = &self.place;
        let lock = self.rows.query(LOCK).bind(&*place.projection).bind(number(place.generation));
        let lock = lock.bind(signed(place.epoch)).fetch_optional(&mut *self.transaction).await;
        match lock.map_err(store_error)? {
            Some(row) => Ok(unsigned(row.try_get(0).map_err(store_error)?)),
            None => Err(place.fenced()),
        }
    }

    /// Moves the position and commits, in one call. The lock of the row is held no longer than the commit takes, so that an
    /// owner that stands still in a transaction is in nobody's way.
    fn end_sql(&self, from: u64, to: Option<u64>) -> AssertSqlSafe<String> {
        let RowPlace { projection, generation, epoch } = &self.place;
        let projection = literal(projection);
        let to = to.map_or_else(|| "null".to_owned(), |to| signed(to).to_string());
        self.rows.sql(&format!(
            "select $schema.move_on({projection}, {generation}, {epoch}, {from}, {to}); commit and chain"
        ))
    }

    async fn keep(
        &mut self,
        kind: &str,
        key: &str,
        record: Option<HandlerRecord>,
    ) -> Result<(), sqlx::Error> {
        let query = self.rows.query(if record.is_some() { PUT } else { REMOVE });
        let query = query.bind(&*self.place.projection).bind(number(self.place.generation));
        let query = query.bind(kind).bind(key);
        let query = match record {
            Some(HandlerRecord { position, due_at, data, .. }) => {
                query.bind(signed(position)).bind(due_at).bind(data.to_vec())
            }
            None => query,
        };
        query.execute(&mut *self.transaction).await.map(drop)
    }
}

impl RowTransaction for PostgresRowTransaction {
    type Connection = PgConnection;

    fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    async fn commit(mut self, from: u64, commit: HandlerCommit) -> Result<(), RowError> {
        for ((kind, key), record) in commit.records {
            self.keep(&kind, &key, record).await.map_err(not_written)?;
        }
        let ended = sqlx::raw_sql(self.end_sql(from, commit.position)).execute(&mut *self.transaction).await;
        match ended {
            // What the driver takes for this transaction is an empty one by now, and ends when it is dropped.
            Ok(_) => Ok(()),
            Err(error) if is_fenced(&error) => Err(self.place.fenced()),
            Err(error) => Err(not_written(error)),
        }
    }

    /// The connection may be at a statement on which user code has given up: that is not waited for.
    async fn roll_back(self) -> Result<(), StoreError> {
        match timeout(UNDO, self.transaction.rollback()).await {
            Ok(undone) => undone.map_err(store_error),
            Err(_) => self.mark.end(&self.rows.pool).await.map_err(store_error),
        }
    }
}

fn is_fenced(error: &sqlx::Error) -> bool {
    matches!(error.as_database_error(), Some(told) if told.code().as_deref() == Some(FENCED))
}

/// What is refused is refused again: a constraint that is looked at last, or a transaction in which a statement has
/// failed whose error was not passed on.
pub(super) fn not_written(error: sqlx::Error) -> RowError {
    match Fault::of(&error) {
        Fault::Refused => RowError::Refused(store_error(error)),
        _ => RowError::Store(store_error(error)),
    }
}

impl fmt::Debug for PostgresRowTransaction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("PostgresRowTransaction").field("place", &self.place).finish_non_exhaustive()
    }
}
