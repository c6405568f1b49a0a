use cqrs_core::projection::{Claim, RowError, RowPlace};
use cqrs_core::store::HandlerRecord;
use sqlx::postgres::PgRow;
use sqlx::{Error, Row as _};

use crate::error::store_error;
use crate::projection::PostgresRows;
use crate::projection::generations::number;
use crate::rows::{signed, unsigned};

/// What is told is on disk, with all that was committed before it: who builds rows goes by it.
const BEGIN: &str = "begin; select set_config('synchronous_commit', 'on', true) \
     where current_setting('synchronous_commit') = 'off'";

const CLAIM: &str = "update $schema.generations set epoch = $3 \
     where projection = $1 and generation = $2 and epoch <= $3 returning position, is_made";

pub(crate) const RECORDS: &str = "select kind, key, position, due_at, data from $schema.records \
     where projection = $1 and generation = $2";

impl PostgresRows {
    pub(super) async fn claim_generation(&self, place: &RowPlace) -> Result<Claim, RowError> {
        let (projection, generation) = (place.projection.as_ref(), number(place.generation));
        let mut transaction = self.pool.begin_with(BEGIN).await.map_err(store_error)?;
        let claim = self.query(CLAIM).bind(projection).bind(generation).bind(signed(place.epoch));
        let Some(row) = claim.fetch_optional(&mut *transaction).await.map_err(store_error)? else {
            return Err(place.fenced());
        };
        let records = self.query(RECORDS).bind(projection).bind(generation);
        let records = records.fetch_all(&mut *transaction).await.map_err(store_error)?;
        let claim = claimed(&row, &records).map_err(store_error)?;
        transaction.commit().await.map_err(store_error)?;
        Ok(claim)
    }
}

fn claimed(row: &PgRow, records: &[PgRow]) -> Result<Claim, Error> {
    let records = records.iter().map(record).collect::<Result<_, _>>()?;
    Ok(Claim { position: unsigned(row.try_get(0)?), is_made: row.try_get(1)?, records })
}

pub(crate) fn record(row: &PgRow) -> Result<HandlerRecord, Error> {
    Ok(HandlerRecord {
        kind: row.try_get::<String, _>(0)?.into(),
        key: row.try_get(1)?,
        position: unsigned(row.try_get(2)?),
        due_at: row.try_get(3)?,
        data: row.try_get::<Vec<u8>, _>(4)?.into(),
    })
}
