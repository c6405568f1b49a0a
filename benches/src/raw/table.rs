//! The table of events.

use std::sync::Arc;

use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

use crate::point::BoxError;

/// The columns and indexes without which an event store cannot keep what it promises: an order of all events,
/// one event a version, no event twice.
const CREATE: &str = r"
CREATE TABLE events (
    position bigserial PRIMARY KEY,
    event_id uuid NOT NULL UNIQUE,
    stream_id text NOT NULL,
    version bigint NOT NULL,
    event_type text NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (stream_id, version)
)
";

pub(super) const COUNT: &str = "SELECT count(*) FROM events";

const INSERT_MANY: &str = r"
INSERT INTO events (event_id, stream_id, version, event_type, data, metadata)
SELECT event_id, stream_id, version, event_type, data::jsonb, metadata::jsonb
FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[])
    AS event (event_id, stream_id, version, event_type, data, metadata)
";

pub(super) async fn create(pool: &PgPool) -> Result<(), BoxError> {
    sqlx::raw_sql(CREATE).execute(pool).await?;
    Ok(())
}

/// An event as it goes into the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) stream_id: String,
    pub(super) version: i64,
    pub(super) event_type: &'static str,
    pub(super) data: Arc<str>,
    pub(super) metadata: String,
}

impl Row {
    pub(super) fn new(stream_id: String, version: i64, event_type: &'static str, data: Arc<str>) -> Self {
        Self { stream_id, version, event_type, data, metadata: metadata() }
    }
}

/// Inserts many events in one transaction.
pub(super) async fn insert_many(pool: &PgPool, rows: &[Row]) -> Result<(), BoxError> {
    let ids: Vec<_> = rows.iter().map(|_| Uuid::now_v7()).collect();
    let streams: Vec<_> = rows.iter().map(|row| row.stream_id.as_str()).collect();
    let versions: Vec<_> = rows.iter().map(|row| row.version).collect();
    let types: Vec<_> = rows.iter().map(|row| row.event_type).collect();
    let data: Vec<_> = rows.iter().map(|row| &*row.data).collect();
    let metadata: Vec<_> = rows.iter().map(|row| row.metadata.as_str()).collect();
    sqlx::query(INSERT_MANY)
        .bind(ids)
        .bind(streams)
        .bind(versions)
        .bind(types)
        .bind(data)
        .bind(metadata)
        .execute(pool)
        .await?;
    Ok(())
}

/// Metadata of 70 bytes.
fn metadata() -> String {
    format!(r#"{{"correlation_id":"{}","tenant":"b-1"}}"#, Uuid::new_v4())
}

/// An event of 256 bytes as JSON.
pub(crate) fn data_of_256_bytes() -> Result<Arc<str>, BoxError> {
    #[derive(Serialize)]
    struct MoneyDeposited {
        account_id: String,
        amount: u64,
        note: String,
    }
    let bare = MoneyDeposited { account_id: "a-1".to_owned(), amount: 2, note: String::new() };
    let missing = 256 - serde_json::to_string(&bare)?.len();
    Ok(serde_json::to_string(&MoneyDeposited { note: "n".repeat(missing), ..bare })?.into())
}
