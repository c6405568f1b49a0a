use cqrs_core::projection::{Generation, GenerationState, InlineError, InlineProjection, RowsNotReady};
use cqrs_core::store::{HandlerRecord, RecordedEvent, StoreError};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Error, PgConnection, Row as _};

use crate::PostgresRows;
use crate::error::{Fault, store_error};
use crate::projection::{RECORDS, literal, record};
use crate::rows::{signed, unsigned};

/// The generation that readers see, locked until the transaction ends, and who and where we are.
const ACTIVE: &str = "select g.generation, g.version, g.position, g.log, g.created_at, g.is_made, \
       coalesce(g.held_until > clock_timestamp(), false), p.namespace, \
       exists (select from $schema.records r where r.projection = g.projection and r.generation = g.generation), \
       pg_backend_pid(), txid_current(), ($head) \
     from $schema.generations g join $schema.projections p using (projection) \
     where projection = $1 and g.state = 'active' for update of g";

/// Nothing is moved when the transaction is not the one that it was: the projection's code may have ended it.
const MOVE: &str = "update $schema.generations set position = $4 \
     where projection = $1 and generation = $2 and position = $3 and state = 'active' \
     and txid_current() = $5";

/// How often the rows are looked for, which may just have been replaced.
const LOOKS: u32 = 3;

/// The rows of a projection, which nobody else writes to until the transaction ends.
pub(super) struct Locked<'a> {
    pub(super) projection: &'a InlineProjection,
    rows: &'a PostgresRows,
    pub(super) generation: Generation,
    pub(super) records: Vec<HandlerRecord>,
    namespace: String,
    transaction: i64,
    /// The process of the server.
    pub(super) backend: i32,
    /// The events that are missing in the rows.
    pub(super) missed: Vec<RecordedEvent>,
    /// The events that are appended.
    pub(super) appended: Vec<RecordedEvent>,
    /// How far the log went when the rows were locked, or less.
    pub(super) head: u64,
    /// Up to where the log was read.
    pub(super) read_to: u64,
}

/// Why rows are not locked.
pub(super) enum NotLocked {
    NotReady(RowsNotReady),
    Failed(Error),
}

impl From<Error> for NotLocked {
    fn from(error: Error) -> Self {
        match &error {
            Error::Database(told) => match told.code().as_deref() {
                // The framework's tables are made with the first generation.
                Some("42P01" | "3F000") => Self::NotReady(RowsNotReady::Missing),
                Some("55P03") => Self::NotReady(RowsNotReady::Busy),
                _ => Self::Failed(error),
            },
            _ => Self::Failed(error),
        }
    }
}

impl<'a> Locked<'a> {
    /// Locks the rows that readers see. `head` is SQL that tells how far the log goes.
    pub(super) async fn lock(
        projection: &'a InlineProjection,
        rows: &'a PostgresRows,
        head: &str,
        connection: &mut PgConnection,
        persistent: bool,
    ) -> Result<Self, NotLocked> {
        let sql = ACTIVE.replace("$head", head);
        for _ in 0..LOOKS {
            let query = sqlx::query(rows.sql(&sql)).bind(projection.name().to_owned()).persistent(persistent);
            if let Some(row) = query.fetch_optional(&mut *connection).await? {
                let (mut locked, is_made, has_records) = Self::read(projection, rows, &row)?;
                if !is_made {
                    break;
                }
                if has_records {
                    let query = sqlx::query(rows.sql(RECORDS)).bind(projection.name().to_owned());
                    let query = query.bind(signed(locked.generation.number)).persistent(persistent);
                    let records = query.fetch_all(connection).await?;
                    locked.records = records.iter().map(record).collect::<Result<_, _>>()?;
                }
                return Ok(locked);
            }
        }
        Err(NotLocked::NotReady(RowsNotReady::Missing))
    }

    fn read(
        projection: &'a InlineProjection,
        rows: &'a PostgresRows,
        row: &PgRow,
    ) -> Result<(Self, bool, bool), Error> {
        let version =
            u32::try_from(row.try_get::<i64, _>(1)?).map_err(|fault| Error::Decode(fault.into()))?;
        let (number, position) = (unsigned(row.try_get(0)?), unsigned(row.try_get(2)?));
        let state = GenerationState::Active;
        let generation = Generation::new(number, version, state, position, row.try_get(3)?, row.try_get(4)?)
            .held(row.try_get(6)?);
        let locked = Self {
            projection,
            rows,
            generation,
            records: Vec::new(),
            namespace: row.try_get(7)?,
            transaction: row.try_get(10)?,
            backend: row.try_get(9)?,
            missed: Vec::new(),
            appended: Vec::new(),
            read_to: 0,
            head: row.try_get::<Option<i64>, _>(11)?.map_or(0, unsigned),
        };
        Ok((locked, row.try_get(5)?, row.try_get(8)?))
    }

    /// Has unqualified names be those of the rows' schema, and everything else be as user code finds it elsewhere.
    pub(super) async fn enter(
        &self,
        connection: &mut PgConnection,
        leave_settings: &str,
    ) -> Result<(), Error> {
        let limit = self.projection.limit().as_millis().clamp(1, i32::MAX.unsigned_abs().into());
        let sql = format!(
            "{leave_settings}; set local statement_timeout = {limit}; set local search_path to default; \
             select set_config('search_path', quote_ident({}) || ', ' || current_setting('search_path'), true)",
            literal(&self.namespace)
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop)
    }

    /// Notes down that the rows are made up to a position.
    pub(super) async fn advance(
        &self,
        position: u64,
        connection: &mut PgConnection,
        persistent: bool,
    ) -> Result<(), Advance> {
        let moved = sqlx::query(self.rows.sql(MOVE))
            .bind(self.projection.name().to_owned())
            .bind(signed(self.generation.number))
            .bind(signed(self.generation.position))
            .bind(signed(position))
            .bind(self.transaction)
            .persistent(persistent)
            .execute(connection)
            .await;
        match moved {
            Ok(moved) if moved.rows_affected() == 1 => Ok(()),
            Ok(_) => {
                let fault = "its code has ended the transaction, or changed how far its rows are made";
                Err(Advance::Refused(InlineError::NotCommitted(StoreError::Failed(fault.into()))))
            }
            Err(error) if Fault::of(&error) == Fault::Refused => {
                Err(Advance::Refused(InlineError::NotCommitted(store_error(error))))
            }
            Err(error) => Err(Advance::Failed(error)),
        }
    }
}

/// Why it was not noted down that rows are made.
pub(super) enum Advance {
    /// Because of what the projection's code did.
    Refused(InlineError),
    Failed(Error),
}
