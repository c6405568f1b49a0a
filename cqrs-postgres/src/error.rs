use cqrs_core::store::StoreError;
use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

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
            sqlx::Error::Database(error) => Self::of_code(error.code().as_deref().unwrap_or_default()),
            sqlx::Error::Encode(_) | sqlx::Error::InvalidArgument(_) | sqlx::Error::Configuration(_) => {
                Self::Refused
            }
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => Self::Unavailable,
            _ => Self::Lost,
        }
    }

    /// By the SQLSTATE of an error that the server told, which means that the transaction is over.
    fn of_code(code: &str) -> Self {
        match code {
            // Serialization failure, deadlock, lock not available, and a prepared statement that a pooler lost.
            "40001" | "40P01" | "55P03" | "26000" => Self::Transient,
            // Missing table, function or schema; cancelled; on a standby.
            "42P01" | "42883" | "3F000" | "57014" | "25006" => Self::Unavailable,
            _ => match code.get(..2).unwrap_or_default() {
                // Out of disk, memory or connections.
                "53" => Self::Unavailable,
                // Connection, operator intervention, system and internal errors: the session ends.
                "08" | "57" | "58" | "XX" | "F0" => Self::Lost,
                _ => Self::Refused,
            },
        }
    }
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
