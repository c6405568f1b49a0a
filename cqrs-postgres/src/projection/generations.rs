use cqrs_core::projection::{Generation, GenerationError, GenerationState};
use cqrs_core::store::StoreError;
use sqlx::postgres::PgRow;
use sqlx::{Error, Row as _};

use crate::error::store_error;
use crate::projection::PostgresRows;
use crate::projection::names::{check, namespace};
use crate::rows::{signed, unsigned};

const LIST: &str = "select generation, version, state, position, log, created_at, \
     coalesce(held_until > clock_timestamp(), false) from $schema.generations \
     where projection = $1 order by generation";

const NEXT: &str = "insert into $schema.projections as p (projection, namespace, last_generation) \
     values ($1, $2, 1) on conflict (projection) do update set last_generation = p.last_generation + 1 \
     returning last_generation";

const ADD: &str = "insert into $schema.generations \
     (projection, generation, version, state, position, epoch, is_made, log) \
     values ($1, $2, $3, 'building', 0, 0, false, $4)";

/// The index that refuses a second projection with the same schema of rows.
const NAMESPACE: &str = "projections_namespace_key";

/// The index that refuses a second generation that is being built.
const ONE_BUILDING: &str = "generations_one_building";

impl PostgresRows {
    pub(super) async fn list(&self, projection: &str) -> Result<Vec<Generation>, StoreError> {
        let rows = match self.try_list(projection).await {
            Err(error) if has_no_tables(&error) => {
                self.create_tables().await?;
                self.try_list(projection).await
            }
            listed => listed,
        };
        let rows = rows.map_err(store_error)?;
        rows.iter().map(generation).collect()
    }

    pub(super) async fn add_generation(
        &self,
        projection: &str,
        version: u32,
        log: &str,
    ) -> Result<u64, GenerationError> {
        check(&namespace(&self.schema, projection))?;
        let mut added = self.try_add(projection, version, log).await;
        if added.as_ref().is_err_and(has_no_tables) {
            self.create_tables().await?;
            added = self.try_add(projection, version, log).await;
        }
        if added.as_ref().is_err_and(|error| violates(error, NAMESPACE)) {
            // Somebody else was first to add the projection, and only one of its two unique names is looked at for that.
            added = self.try_add(projection, version, log).await;
        }
        added.map(unsigned).map_err(|error| match violates(&error, ONE_BUILDING) {
            true => GenerationError::Building { projection: projection.to_owned() },
            false => store_error(error).into(),
        })
    }

    /// In a transaction, like all else: behind a pooler, a statement has one connection there.
    async fn try_list(&self, projection: &str) -> Result<Vec<PgRow>, Error> {
        let mut transaction = self.pool.begin().await?;
        let rows = self.query(LIST).bind(projection.to_owned()).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    async fn try_add(&self, projection: &str, version: u32, log: &str) -> Result<i64, Error> {
        let mut transaction = self.pool.begin().await?;
        let next = self.query(NEXT).bind(projection.to_owned());
        let next = next.bind(namespace(&self.schema, projection)).fetch_one(&mut *transaction).await?;
        let number: i64 = next.try_get(0)?;
        let add = self.query(ADD).bind(projection.to_owned()).bind(number);
        add.bind(i64::from(version)).bind(log.to_owned()).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(number)
    }
}

fn violates(error: &Error, constraint: &str) -> bool {
    matches!(error, Error::Database(told) if told.constraint() == Some(constraint))
}

/// Whether nothing was ever kept in the schema.
fn has_no_tables(error: &Error) -> bool {
    matches!(error, Error::Database(told) if matches!(told.code().as_deref(), Some("42P01" | "3F000")))
}

fn generation(row: &PgRow) -> Result<Generation, StoreError> {
    let read = || {
        let version: i64 = row.try_get(1)?;
        let state: String = row.try_get(2)?;
        Ok((
            row.try_get(0)?,
            version,
            state,
            row.try_get(3)?,
            row.try_get(4)?,
            row.try_get(5)?,
            row.try_get(6)?,
        ))
    };
    let (number, version, state, position, log, created_at, is_held) = read().map_err(store_error)?;
    let version = u32::try_from(version).map_err(|fault| StoreError::Corrupt(fault.into()))?;
    let state = match state.as_str() {
        "building" => GenerationState::Building,
        "active" => GenerationState::Active,
        "kept" => GenerationState::Kept,
        _ => GenerationState::RolledBack,
    };
    Ok(Generation::new(unsigned(number), version, state, unsigned(position), log, created_at).held(is_held))
}

/// The number of a generation, as the database has it.
pub(super) fn number(generation: u64) -> i64 {
    signed(generation)
}
