//! Which rows readers see.

use std::time::Duration;

use cqrs_core::projection::{GenerationError, RowError, RowPlace};
use cqrs_core::store::StoreError;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::error::store_error;
use crate::projection::PostgresRows;
use crate::projection::generations::number;
use crate::projection::names::{aside, namespace, quoted};
use crate::rows::{signed, unsigned};

/// The rows of a projection are locked in their order, so that nobody waits for each other.
const LOCK: &str = "select generation, state, epoch, position from $schema.generations \
     where projection = $1 order by generation for update";

const SET: &str = "update $schema.generations set state = $3, epoch = 0, held_until = null, position = coalesce($4, position) \
     where projection = $1 and generation = $2";

const HOLD: &str = "update $schema.generations set held_until = clock_timestamp() + make_interval(secs => $3) \
     where projection = $1 and generation = $2";

const DELETE: &str = "delete from $schema.generations where projection = $1 and generation = $2";

/// A generation, locked.
struct Locked {
    generation: i64,
    state: String,
    epoch: i64,
    position: i64,
}

impl PostgresRows {
    pub(super) async fn activate_generation(
        &self,
        place: &RowPlace,
        from: u64,
        to: u64,
    ) -> Result<(), RowError> {
        let projection = &*place.projection;
        let mut transaction = self.pool.begin().await.map_err(store_error)?;
        let all = self.lock(projection, &mut transaction).await?;
        let (generation, epoch) = (number(place.generation), signed(place.epoch));
        let is_own = |one: &Locked| {
            one.generation == generation
                && one.state == "building"
                && one.epoch == epoch
                && one.position == signed(from)
        };
        if !all.iter().any(is_own) {
            return Err(place.fenced());
        }
        let active = all.iter().find(|one| one.state == "active");
        if let Some(active) = active.filter(|active| active.position > signed(to)) {
            return Err(RowError::Behind { active: unsigned(active.position) });
        }
        if let Some(active) = active {
            self.hide(projection, active.generation, "kept", &mut transaction).await?;
        }
        self.show(projection, generation, Some(signed(to)), &mut transaction).await?;
        transaction.commit().await.map_err(store_error)?;
        Ok(())
    }

    pub(super) async fn hold_active_generation(
        &self,
        place: &RowPlace,
        limit: Duration,
    ) -> Result<u64, RowError> {
        let projection = &*place.projection;
        let mut transaction = self.pool.begin().await.map_err(store_error)?;
        let all = self.lock(projection, &mut transaction).await?;
        let (generation, epoch) = (number(place.generation), signed(place.epoch));
        let is_own =
            |one: &Locked| one.generation == generation && one.state == "building" && one.epoch == epoch;
        let active = all.iter().find(|one| one.state == "active");
        let Some(active) = active.filter(|_| all.iter().any(is_own)) else { return Err(place.fenced()) };
        let hold = self.query(HOLD).bind(projection.to_owned()).bind(active.generation);
        let hold = hold.bind(limit.as_secs_f64()).execute(&mut *transaction);
        hold.await.map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        Ok(unsigned(active.position))
    }

    pub(super) async fn roll_back_generation(&self, projection: &str) -> Result<u64, GenerationError> {
        let mut transaction = self.pool.begin().await.map_err(store_error)?;
        let all = self.lock(projection, &mut transaction).await?;
        let kept = all.iter().rfind(|one| one.state == "kept");
        let active = all.iter().find(|one| one.state == "active");
        let (Some(kept), Some(active)) = (kept, active) else {
            return Err(GenerationError::NothingKept { projection: projection.to_owned() });
        };
        self.hide(projection, active.generation, "rolled back", &mut transaction).await?;
        self.show(projection, kept.generation, None, &mut transaction).await?;
        transaction.commit().await.map_err(store_error)?;
        Ok(unsigned(kept.generation))
    }

    pub(super) async fn discard_generation(
        &self,
        projection: &str,
        generation: u64,
    ) -> Result<(), GenerationError> {
        let mut transaction = self.pool.begin().await.map_err(store_error)?;
        let all = self.lock(projection, &mut transaction).await?;
        let wanted = number(generation);
        if !all.iter().any(|one| one.generation == wanted && one.state != "active") {
            return Err(GenerationError::NoSuchGeneration { projection: projection.to_owned(), generation });
        }
        let name = quoted(&aside(&namespace(&self.schema, projection), wanted));
        run(
            format!("set local client_min_messages = warning; drop schema if exists {name} cascade"),
            &mut transaction,
        )
        .await?;
        let delete = self.query(DELETE).bind(projection.to_owned()).bind(wanted);
        delete.execute(&mut *transaction).await.map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        Ok(())
    }

    async fn lock(&self, projection: &str, connection: &mut PgConnection) -> Result<Vec<Locked>, StoreError> {
        let rows = self.query(LOCK).bind(projection.to_owned()).fetch_all(connection).await;
        let read = |rows: Vec<sqlx::postgres::PgRow>| {
            let one = |row: &sqlx::postgres::PgRow| {
                Ok(Locked {
                    generation: row.try_get(0)?,
                    state: row.try_get(1)?,
                    epoch: row.try_get(2)?,
                    position: row.try_get(3)?,
                })
            };
            rows.iter().map(one).collect::<Result<_, sqlx::Error>>()
        };
        rows.and_then(read).map_err(store_error)
    }

    /// Takes rows away from readers.
    async fn hide(
        &self,
        projection: &str,
        generation: i64,
        state: &'static str,
        connection: &mut PgConnection,
    ) -> Result<(), StoreError> {
        let shown = namespace(&self.schema, projection);
        let hidden = aside(&shown, generation);
        run(format!("alter schema {} rename to {}", quoted(&shown), quoted(&hidden)), connection).await?;
        self.set(projection, generation, state, None, connection).await
    }

    /// Gives rows to readers.
    async fn show(
        &self,
        projection: &str,
        generation: i64,
        position: Option<i64>,
        connection: &mut PgConnection,
    ) -> Result<(), StoreError> {
        let shown = namespace(&self.schema, projection);
        let hidden = aside(&shown, generation);
        run(format!("alter schema {} rename to {}", quoted(&hidden), quoted(&shown)), connection).await?;
        self.set(projection, generation, "active", position, connection).await
    }

    async fn set(
        &self,
        projection: &str,
        generation: i64,
        state: &'static str,
        position: Option<i64>,
        connection: &mut PgConnection,
    ) -> Result<(), StoreError> {
        let set = self.query(SET).bind(projection.to_owned()).bind(generation);
        set.bind(state).bind(position).execute(connection).await.map(drop).map_err(store_error)
    }
}

async fn run(sql: String, connection: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(drop).map_err(store_error)
}
