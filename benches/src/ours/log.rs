//! The log, as it is measured and checked.

use cqrs::postgres::{PostgresConfig, PostgresStore, Schema};

use crate::point::BoxError;
use crate::postgres::Database;

pub(super) const COUNT: &str = "SELECT count(*) FROM cqrs.events";

/// Positions and versions that are missing, and streams whose version is not that of their last event.
pub(super) const FAULTS: &str = r"
SELECT (SELECT coalesce(max(position), 0) - count(*) FROM cqrs.events) + (
    SELECT count(*)
    FROM (SELECT stream_id, count(*) AS events, max(version) AS last FROM cqrs.events GROUP BY stream_id) AS event
    FULL JOIN cqrs.streams USING (stream_id)
    WHERE (events, last) IS DISTINCT FROM (version, version)
)
";

/// Twelve connections in all, with the one that listens.
pub(super) fn config(url: &str) -> PostgresConfig {
    PostgresConfig::new(url).connections(10).user_connections(1)
}

/// The store of a database, in the schema `cqrs` unless that says otherwise.
pub(super) async fn open(database: &Database, schema: Schema) -> Result<PostgresStore, BoxError> {
    Ok(PostgresStore::connect(config(database.url().as_str()).schema(schema)).await?)
}
