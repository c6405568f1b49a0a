use cqrs_core::store::{Deletion, EventStore as _, ExpectedVersion};
use sqlx::Executor as _;

use crate::support::{append, config, event, log, schema, store, stream};
use cqrs_postgres::{PostgresStore, Schema};

/// The log only grows, also for whoever comes by SQL.
#[tokio::test]
async fn pg_068_events_cannot_be_changed_by_sql() {
    let schema = schema().await;
    let store = store(&schema).await;
    store.append(append("s", vec![event(1), event(2)])).await.unwrap();
    let mut connection = schema.connect().await.unwrap();
    for sql in ["update events set type = 'Other'", "delete from events", "truncate events"] {
        let error = connection.execute(sql).await.unwrap_err();
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code).unwrap_or_default();
        assert_eq!(code, "55000", "{sql}: {error}");
    }
    assert_eq!(log(&store).await.len(), 2);
}

/// A hard deletion opens the log for its own transaction, not for the connection that it used.
#[tokio::test]
async fn pg_068_the_log_stays_closed_after_a_hard_deletion() {
    let schema = schema().await;
    let settings = Schema::named(schema.name()).allow_hard_deletion(true);
    let store = PostgresStore::connect(config(&schema).schema(settings).connections(2)).await.unwrap();
    store.append(append("s", vec![event(1)])).await.unwrap();
    store.append(append("t", vec![event(2)])).await.unwrap();
    store.delete_stream(&stream("s"), ExpectedVersion::Any, Deletion::Hard).await.unwrap();
    let mut connection = schema.connect().await.unwrap();
    let name = format!("\"{}\"", schema.name());
    let sql = format!(
        "begin; select * from {name}.delete_stream('none', -1, true); delete from {name}.events; commit"
    );
    assert!(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.is_err());
    assert_eq!(log(&store).await.len(), 1);
}
