use cqrs_core::store::{AppendError, ExpectedVersion, StoreError};
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

/// Why a store could not be opened, created or dropped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none.
    #[error("the database URL is invalid")]
    InvalidUrl(#[source] sqlx::Error),
    /// The schema's name is none.
    #[error("{schema:?} cannot name a schema: {fault}")]
    InvalidSchema {
        /// The name.
        schema: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The schema does not exist, and was not to be created.
    #[error("schema {schema:?} holds no log: create it with `Migrate::Automatic`")]
    SchemaMissing {
        /// The schema.
        schema: String,
    },
    /// The schema needs migrations that were not to be made.
    #[error("schema {schema:?} is at version {found}, this program needs {needed}: migrate it")]
    SchemaOutdated {
        /// The schema.
        schema: String,
        /// Its version.
        found: i64,
        /// The version that is needed.
        needed: i64,
    },
    /// The schema was written by a newer version of this library.
    #[error(
        "schema {schema:?} is at version {found}, this program knows versions up to {known}: update the program"
    )]
    SchemaNewer {
        /// The schema.
        schema: String,
        /// Its version.
        found: i64,
        /// The latest version that is known.
        known: i64,
    },
    /// The schema was created otherwise: with the other kind of payload, or by a program with other migrations.
    #[error(
        "schema {schema:?} was created with other tables or the other kind of payload (migration {version} differs)"
    )]
    SchemaDiffers {
        /// The schema.
        schema: String,
        /// The migration that differs.
        version: i64,
    },
    /// A migration failed; the schema is as it was before.
    #[error("schema {schema:?} could not be migrated")]
    Migration {
        /// The schema.
        schema: String,
        /// Why.
        #[source]
        source: MigrateError,
    },
    /// The database cannot be reached, or refused.
    #[error("the database cannot be used")]
    Database(#[from] sqlx::Error),
}

/// A schema that was there when the store connected, and is gone.
#[derive(Debug, thiserror::Error)]
#[error("the schema or its tables are missing")]
pub struct SchemaGone(#[source] sqlx::Error);

/// The primary key of the records of handlers.
const RECORDS_KEY: &str = "records_pkey";

/// What a failed statement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing was written; the same statement fails again.
    Refused,
    /// Nothing was written; the same statement may pass now.
    Transient,
    /// Nothing was written; the database cannot do it at the moment.
    Unavailable,
    /// The connection is lost, and with it the answer.
    Lost,
}

impl Fault {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::of_told(&**error),
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) | sqlx::Error::Configuration(_) => {
                Self::Refused
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Unavailable,
            _ => Self::Lost,
        }
    }

    /// By the SQLSTATE of an error that the server told.
    fn of_told(error: &dyn DatabaseError) -> Self {
        let told = error.try_downcast_ref::<PgDatabaseError>();
        let ends_session =
            told.is_none_or(|told| matches!(told.severity(), PgSeverity::Fatal | PgSeverity::Panic));
        let code = error.code().unwrap_or_default();
        if error.constraint() == Some(RECORDS_KEY) {
            // Somebody else has just added the record, which is seen the next time.
            return Self::Transient;
        }
        match &*code {
            // A prepared statement that a pooler lost; a transaction that was idle for too long, and is undone.
            "26000" | "25P03" => Self::Transient,
            // Nobody knows whether it was completed; a transaction that took too long, also to commit.
            "40003" | "25P04" => Self::Lost,
            // Missing table, function or schema; cancelled; on a standby; the log locked for longer than the timeout.
            "42P01" | "42883" | "3F000" | "57014" | "25006" | "55P03" => Self::Unavailable,
            _ => match code.get(..2).unwrap_or_default() {
                // Serialization failure, deadlock.
                "40" => Self::Transient,
                // Out of disk, memory or connections.
                "53" => Self::Unavailable,
                // Connection, operator intervention: the session ends.
                "08" | "57" => Self::Lost,
                // System and internal errors: mostly of the statement alone.
                "58" | "XX" | "F0" if ends_session => Self::Lost,
                "58" | "XX" | "F0" => Self::Unavailable,
                _ => Self::Refused,
            },
        }
    }
}

/// Whether a statement was refused for what it holds, so that it always will be.
pub(crate) fn is_of_content(error: &sqlx::Error) -> bool {
    match error.as_database_error().and_then(DatabaseError::code) {
        Some(code) => matches!(code.get(..2), Some("22" | "23")),
        // It was never sent.
        None => true,
    }
}

/// Whether what was refused could pass if it were executed later, after what others write: as an attempt may be that
/// has reached the server, and whose answer is missing. Versions only grow, so that most refusals are for good.
pub(crate) fn may_pass_later(error: &AppendError) -> bool {
    matches!(error, AppendError::WrongExpectedVersion { expected: ExpectedVersion::StreamExists, .. })
}

/// Whether the server says that the schema is not there.
fn is_schema_gone(error: &dyn DatabaseError) -> bool {
    matches!(error.code().as_deref(), Some("42P01" | "42883" | "3F000"))
}

/// What a failed statement that wrote nothing means for the caller of the store.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(told) if is_schema_gone(&**told) => {
            StoreError::Unavailable(SchemaGone(error).into())
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt(error.into()),
        _ => match Fault::of(&error) {
            Fault::Refused => StoreError::Failed(error.into()),
            Fault::Transient | Fault::Unavailable | Fault::Lost => StoreError::Unavailable(error.into()),
        },
    }
}
