use std::time::Duration;

use cqrs_core::id::NodeId;
use cqrs_core::store::{CheckpointStore as _, HandlerCommit, HandlerRecord, LeaseStore as _};
use cqrs_postgres::{PostgresConfig, PostgresStore};
use sqlx::postgres::PgConnectOptions;

use crate::support::{in_time, schema};

fn record(key: u64) -> HandlerRecord {
    HandlerRecord {
        kind: "instance".into(),
        key: format!("i-{key:04}"),
        position: key,
        due_at: None,
        data: "{}".into(),
    }
}

/// What goes is looked up key by key, also by a plan that was made when there was no record yet.
#[tokio::test]
async fn to_remove_a_record_reads_no_other() {
    reads_no_other(|record| HandlerCommit::new().remove("instance", record.key)).await;
}

/// Nor does it to compare it with what was read, and to look for one that must not be there.
#[tokio::test]
async fn to_remove_a_record_that_is_as_it_was_read_reads_no_other() {
    reads_no_other(|read| {
        let new = HandlerRecord { kind: "other".into(), ..read.clone() };
        HandlerCommit::new().remove_exactly(read).put_new(new)
    })
    .await;
}

async fn reads_no_other(remove: impl Fn(HandlerRecord) -> HandlerCommit) {
    const RECORDS: u64 = 1_000;
    const COMMITS: u64 = 100;
    let schema = schema().await;
    let options: PgConnectOptions = schema.url().parse().unwrap();
    let options = options.application_name(schema.name());
    let config = PostgresConfig::from_options(options).schema(schema.name()).connections(4);
    let store = PostgresStore::connect(config).await.unwrap();
    let epoch =
        store.acquire_lease("manager", NodeId::new(), Duration::from_secs(60)).await.unwrap().unwrap();
    let write = async |commit| store.commit("manager", epoch, commit).await.unwrap();
    write(HandlerCommit::new().remove("instance", "none")).await;
    write((1..=RECORDS).fold(HandlerCommit::new(), |commit, key| commit.put(record(key)))).await;
    for key in 1..=COMMITS {
        write(remove(record(key)).remove("instance", "none")).await;
    }
    let left = store.records("manager", "instance", None, 2_000).await.unwrap();
    assert_eq!((left.len() as u64, left[0].position), (RECORDS - COMMITS, COMMITS + 1));

    // The server counts what a connection has read for certain when that ends.
    in_time(store.pool().close()).await;
    let mut connection = schema.connect().await.unwrap();
    let serving = "select exists (select from pg_stat_activity where application_name = $1)";
    let serving = || sqlx::query_scalar::<_, bool>(serving).bind(schema.name());
    in_time(async { while serving().fetch_one(&mut connection).await.unwrap() {} }).await;
    let read = "select idx_tup_read from pg_stat_user_indexes where schemaname = $1 and indexrelname = 'records_pkey'";
    let read = sqlx::query_scalar::<_, i64>(read).bind(schema.name());
    let read = u64::try_from(read.fetch_one(&mut connection).await.unwrap()).unwrap();
    assert!(read < 4 * RECORDS, "{read} places of the index were read");
}

/// A schedule that is cancelled while its owner writes down when it is due next, for instance.
#[tokio::test]
async fn what_is_written_meanwhile_goes_as_well() {
    let schema = schema().await;
    let config = PostgresConfig::new(schema.url()).schema(schema.name()).connections(4);
    let store = PostgresStore::connect(config).await.unwrap();
    let put = (1..=3).fold(HandlerCommit::new(), |commit, key| commit.put(record(key)));
    store.change_records("manager", put).await.unwrap();

    let mut other = schema.connect().await.unwrap();
    let begin = format!("begin; update {}.records set position = 9 where key = 'i-0002'", schema.name());
    sqlx::raw_sql(sqlx::AssertSqlSafe(begin)).execute(&mut other).await.unwrap();
    let remove = HandlerCommit::new().remove("instance", "i-0002").remove("other", "i-0003");
    let removed = store.change_records("manager", remove);
    let committed = async {
        let mut watching = schema.connect().await.unwrap();
        let waits =
            "select exists (select from pg_stat_activity where wait_event_type = 'Lock' and query like $1)";
        let waits = || sqlx::query_scalar::<_, bool>(waits).bind(format!("%{}%.records%", schema.name()));
        in_time(async { while !waits().fetch_one(&mut watching).await.unwrap() {} }).await;
        sqlx::raw_sql("commit").execute(&mut other).await.unwrap();
    };
    tokio::join!(async { removed.await.unwrap() }, committed);
    let left = store.records("manager", "instance", None, 10).await.unwrap();
    let keys: Vec<_> = left.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys, ["i-0001", "i-0003"]);
}
