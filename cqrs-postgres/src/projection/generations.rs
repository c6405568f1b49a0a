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

/// The index that refuses a second generation that is being built.
const ONE_BUILDING: &str = "generations_one_building";

impl PostgresRows {
    pub(super) async fn list(&self, projection: &str) -> Result<Vec<Generation>, StoreError> {
        let query = || sqlx::query(self.sql(LIST)).bind(projection.to_owned()).fetch_all(&self.pool);
        let rows = match query().await {
            Err(Error::Database(told)) if matches!(told.code().as_deref(), Some("42P01" | "3F000")) => {
                self.create_tables().await?;
                query().await
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
        let namespace = namespace(&self.schema, projection);
        check(&namespace)?;
        let mut transaction = self.pool.begin().await.map_err(store_error)?;
        let next = sqlx::query(self.sql(NEXT)).bind(projection.to_owned()).bind(namespace);
        let next = next.fetch_one(&mut *transaction).await.map_err(store_error)?;
        let number: i64 = next.try_get(0).map_err(store_error)?;
        let add = sqlx::query(self.sql(ADD)).bind(projection.to_owned()).bind(number);
        let add = add.bind(i64::from(version)).bind(log.to_owned());
        match add.execute(&mut *transaction).await {
            Ok(_) => {}
            Err(Error::Database(told)) if told.constraint() == Some(ONE_BUILDING) => {
                return Err(GenerationError::Building { projection: projection.to_owned() });
            }
            Err(error) => return Err(store_error(error).into()),
        }
        transaction.commit().await.map_err(store_error)?;
        Ok(unsigned(number))
    }
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
