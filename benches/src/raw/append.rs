//! Events appended by hand, to streams of 10 events, each caller to streams of its own.

use std::sync::Arc;

use sqlx::PgPool;
use uuid::Uuid;

use crate::point::BoxError;
use crate::postgres::{Call, Calls, Database, OnPostgres};
use crate::raw::table::{self, COUNT, Row};

const EVENTS_OF_A_STREAM: usize = 10;

const INSERT: &str = r"
INSERT INTO events (event_id, stream_id, version, event_type, data, metadata)
VALUES ($1, $2, $3, $4, $5::text::jsonb, $6::text::jsonb)
";

/// One event a statement, one statement a transaction. The index of stream and version is the check of the
/// expected version. The number of connections that is best depends on how long the server takes to commit.
#[derive(Clone, Debug)]
pub(crate) struct Insert<const CONNECTIONS: u32> {
    pool: PgPool,
    data: Arc<str>,
}

impl<const CONNECTIONS: u32> OnPostgres for Insert<CONNECTIONS> {
    const COUNT: &'static str = COUNT;

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let pool = database.pool(CONNECTIONS).await?;
        table::create(&pool).await?;
        Ok(Self { pool, data: table::data_of_256_bytes()? })
    }
}

impl<const CONNECTIONS: u32> Calls for Insert<CONNECTIONS> {
    async fn call(&self, call: Call) -> Result<usize, BoxError> {
        let row = row(call, call.turn, &self.data)?;
        sqlx::query(INSERT)
            .bind(Uuid::now_v7())
            .bind(row.stream_id)
            .bind(row.version)
            .bind(row.event_type)
            .bind(&*row.data)
            .bind(row.metadata)
            .execute(&self.pool)
            .await?;
        Ok(1)
    }
}

/// A thousand events a transaction, as arrays, on one connection: what a writer reaches that has always enough
/// to write.
#[derive(Clone, Debug)]
pub(crate) struct Coalesced {
    pool: PgPool,
    data: Arc<str>,
}

impl OnPostgres for Coalesced {
    const COUNT: &'static str = COUNT;

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let pool = database.pool(1).await?;
        table::create(&pool).await?;
        Ok(Self { pool, data: table::data_of_256_bytes()? })
    }
}

impl Calls for Coalesced {
    async fn call(&self, call: Call) -> Result<usize, BoxError> {
        const EVENTS: usize = 1_000;
        let turns = call.turn * EVENTS..(call.turn + 1) * EVENTS;
        let rows = turns.map(|turn| row(call, turn, &self.data)).collect::<Result<Vec<_>, _>>()?;
        table::insert_many(&self.pool, &rows).await?;
        Ok(EVENTS)
    }
}

/// The event that a caller appends at its `turn`.
fn row(call: Call, turn: usize, data: &Arc<str>) -> Result<Row, BoxError> {
    let stream_id = format!("account-{}-{}-{}", call.slice, call.caller, turn / EVENTS_OF_A_STREAM);
    let version = i64::try_from(turn % EVENTS_OF_A_STREAM + 1)?;
    Ok(Row::new(stream_id, version, "MoneyDeposited", Arc::clone(data)))
}
