use chrono::{DateTime, Utc};
use cqrs_core::store::EventStore as _;
use sqlx::{Executor as _, Row as _};

use crate::support::{append, event, log, schema, store};

/// H21: whatever counts versions, positions or epochs is a `bigint`.
#[tokio::test]
async fn nothing_that_grows_is_small() {
    let schema = schema().await;
    store(&schema).await;
    let mut connection = schema.connect().await.unwrap();
    let sql = "select table_name || '.' || column_name from information_schema.columns \
               where table_schema = $1 and data_type in ('integer', 'smallint', 'real', 'double precision') order by 1";
    let small = sqlx::query(sql).bind(schema.name()).fetch_all(&mut connection).await.unwrap();
    let small: Vec<String> = small.iter().map(|row| row.get(0)).collect();
    assert_eq!(small, ["appends.events", "appends.ordinal"], "what one append holds, and nothing that grows");
}

/// H16: while an old snapshot is open, nothing that an append changes piles up: there is no row that every append
/// writes.
#[tokio::test]
async fn an_old_snapshot_sees_no_row_pile_up() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut old = schema.connect().await.unwrap();
    old.execute("begin isolation level repeatable read").await.unwrap();
    let count = "select count(*) from events";
    assert_eq!(old.fetch_one(count).await.unwrap().get::<i64, _>(0), 0);
    let mut connection = schema.connect().await.unwrap();
    let row = "select ctid::text from log";
    let before: String = connection.fetch_one(row).await.unwrap().get(0);
    for number in 0..100 {
        store.append(append(&format!("s-{number}"), vec![event(number)])).await.unwrap();
    }
    let after: String = connection.fetch_one(row).await.unwrap().get(0);
    assert_eq!(before, after, "the row of the log was not written");
    for table in ["events", "streams", "appends"] {
        // Rows that were never rewritten fill their pages from the first place on, without a hole.
        let sql = format!(
            "select count(*) from (select ctid, lag(ctid) over (order by ctid) as previous from {table}) t \
             where split_part(trim(ctid::text, '()'), ',', 2)::int <> 1 \
             and split_part(trim(ctid::text, '()'), ',', 2)::int \
               <> split_part(trim(previous::text, '()'), ',', 2)::int + 1"
        );
        let holes = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_one(&mut connection).await.unwrap();
        assert_eq!(holes.get::<i64, _>(0), 0, "{table}");
    }
    assert_eq!(old.fetch_one(count).await.unwrap().get::<i64, _>(0), 0);
    assert_eq!(log(&store).await.len(), 100);
}

/// H22: the time of an event is the server's.
#[tokio::test]
async fn pg_023_events_have_the_time_of_the_server() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut connection = schema.connect().await.unwrap();
    let mut now =
        async || -> DateTime<Utc> { connection.fetch_one("select clock_timestamp()").await.unwrap().get(0) };
    let before = now().await;
    store.append(append("s", vec![event(1), event(2)])).await.unwrap();
    store.append(append("t", vec![event(3)])).await.unwrap();
    let after = now().await;
    let log = log(&store).await;
    assert!(log.iter().all(|event| before <= event.created_at && event.created_at <= after));
    assert_eq!(log[0].created_at, log[1].created_at, "an append happens at one time");
    assert!(log.is_sorted_by_key(|event| event.created_at));
}
