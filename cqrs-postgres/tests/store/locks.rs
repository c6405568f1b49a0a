use std::time::Duration;

use cqrs_core::id::NodeId;
use cqrs_core::store::{EventStore as _, LeaseStore as _};
use cqrs_postgres::testing::{TestDatabase, TestSchema, TestServer};
use cqrs_postgres::{PostgresConfig, PostgresStore};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};

use crate::support::{append, assert_gapless, event, in_time, log, schema, store};

/// Looks until the query gives a number, and gives it.
async fn await_number(connection: &mut PgConnection, sql: &'static str, argument: &str) -> i32 {
    in_time(async {
        loop {
            let row = sqlx::query(sql).bind(argument).fetch_optional(&mut *connection).await.unwrap();
            if let Some(row) = row {
                return row.get(0);
            }
        }
    })
    .await
}

/// The process on the server whose append waits for the lock of the schema's log.
async fn waiting_append(connection: &mut PgConnection, schema: &TestSchema) -> i32 {
    let sql = "select pid from pg_stat_activity where wait_event_type = 'Lock' and wait_event = 'advisory' \
               and query like '%' || $1 || '%append%' limit 1";
    await_number(connection, sql, schema.name()).await
}

/// H4: a commit that is stuck while it holds the server's lock for announcements stops announcements, but no append.
#[tokio::test]
async fn an_append_does_not_wait_for_announcements() {
    let settings = [("synchronous_standby_names", "nobody"), ("synchronous_commit", "local")];
    let server =
        settings.iter().fold(TestServer::builder(), |server, (name, value)| server.setting(*name, *value));
    let server = server.start().await.unwrap();
    let schema = TestSchema::new(&server);
    let store = store(&schema).await;
    let mut stuck = schema.connect().await.unwrap();
    // It waits for a standby that never comes.
    let commit = "set synchronous_commit = on; begin; create table stuck (a int); notify stuck; commit";
    let stuck = tokio::spawn(async move { sqlx::raw_sql(commit).execute(&mut stuck).await });
    let mut looking = schema.connect().await.unwrap();
    let sql = "select pid from pg_stat_activity where wait_event = 'SyncRep' and $1 <> ''";
    await_number(&mut looking, sql, "any").await;
    let mut head = store.watch_head();
    for number in 1..=50 {
        in_time(store.append(append("s", vec![event(number)]))).await.unwrap();
        in_time(head.wait_for(|position| *position == number)).await.unwrap();
    }
    assert_eq!(log(&store).await.len(), 50);
    stuck.abort();
}

/// H4: a session that listens and never ends its transaction keeps the queue of announcements, but stops no append.
#[tokio::test]
async fn a_listener_that_hangs_stops_no_append() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut listener = schema.connect().await.unwrap();
    let sql = format!("listen \"cqrs:{}\"; begin; select count(*) from events", schema.name());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut listener).await.unwrap();
    for number in 1..=50 {
        in_time(store.append(append("s", vec![event(number)]))).await.unwrap();
    }
    listener.execute("rollback").await.unwrap();
}

/// H5: what a session holds is stranded behind a pooler. Nothing of the log is locked when nothing is under way.
#[tokio::test]
async fn no_lock_outlives_its_transaction() {
    let schema = schema().await;
    let store = store(&schema).await;
    let epoch =
        store.acquire_lease("handler", NodeId::new(), Duration::from_secs(60)).await.unwrap().unwrap();
    let appends =
        (0..40).map(|number| store.append(append(&format!("s-{}", number % 5), vec![event(number)])));
    assert!(in_time(join_all(appends)).await.iter().all(Result::is_ok));
    let mut transaction = store.begin().await.unwrap();
    transaction.append(append("s", vec![event(1)])).await.unwrap();
    let mut connection = schema.connect().await.unwrap();
    let held =
        "select count(*) from pg_locks where locktype = 'advisory' and objid = 'events'::regclass::oid";
    let count: i64 = connection.fetch_one(held).await.unwrap().get(0);
    assert_eq!(count, 1, "the transaction that is open");
    transaction.commit().await.unwrap();
    let count: i64 = connection.fetch_one(held).await.unwrap().get(0);
    assert_eq!(count, 0);
    store.release_lease("handler", epoch).await.unwrap();
}

/// H7: a transaction that appends to one stream and then to another, and an append to the other one in between.
#[tokio::test]
async fn pg_125_a_transaction_and_an_append_do_not_deadlock() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut connection = schema.connect().await.unwrap();
    for round in 0..3 {
        let mut transaction = store.begin().await.unwrap();
        transaction.append(append("a", vec![event(round)])).await.unwrap();
        let between = tokio::spawn({
            let store = store.clone();
            async move { store.append(append("b", vec![event(round)])).await }
        });
        waiting_append(&mut connection, &schema).await;
        transaction.append(append("b", vec![event(round)])).await.unwrap();
        transaction.commit().await.unwrap();
        in_time(between).await.unwrap().unwrap();
    }
    let log = log(&store).await;
    assert_gapless(&log);
    let streams: Vec<_> = log.iter().map(|event| event.stream_id.as_str()).collect();
    assert_eq!(streams, ["a", "b", "b"].repeat(3));
}

/// H8: whoever holds the lock and dies lets go of it.
#[tokio::test]
async fn a_holder_that_dies_lets_go() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut holder = store.begin().await.unwrap();
    holder.append(append("held", vec![event(1)])).await.unwrap();
    let pid: i32 = holder.fetch_one("select pg_backend_pid()").await.unwrap().get(0);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.append(append("s", vec![event(2)])).await }
    });
    let mut connection = schema.connect().await.unwrap();
    waiting_append(&mut connection, &schema).await;
    sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(&mut connection).await.unwrap();
    let written = in_time(waiting).await.unwrap().unwrap();
    assert_eq!(
        (written.position, log(&store).await.len()),
        (1, 1),
        "what was not committed has left no hole"
    );
}

/// H11: a connection that is killed before its commit: the append is made once all the same, and is no repetition.
#[tokio::test]
async fn pg_115_an_append_that_is_killed_before_its_commit_is_made_once() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut connection = schema.connect().await.unwrap();
    for round in 0..3 {
        let mut holder = store.begin().await.unwrap();
        holder.append(append("held", vec![event(round)])).await.unwrap();
        let waiting = tokio::spawn({
            let store = store.clone();
            async move { store.append(append("s", vec![event(round)])).await }
        });
        let pid = waiting_append(&mut connection, &schema).await;
        sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(&mut connection).await.unwrap();
        holder.commit().await.unwrap();
        let written = in_time(waiting).await.unwrap().unwrap();
        assert_eq!((written.position, written.repeated), (2 * round + 2, false));
    }
    let log = log(&store).await;
    assert_eq!(log.len(), 6);
    assert_gapless(&log);
}

/// H9: a database whose transactions are serializable unless they say otherwise: ours do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_another_isolation_level_serves() {
    let database = TestDatabase::new(TestServer::shared().await.unwrap()).await.unwrap();
    let sql = format!("alter database {} set default_transaction_isolation to serializable", database.name());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database.connect().await.unwrap()).await.unwrap();
    let nodes = join_all((0..2).map(|_| {
        PostgresStore::connect(PostgresConfig::new(database.url()).connections(3).user_connections(1))
    }));
    let nodes: Vec<_> = nodes.await.into_iter().map(Result::unwrap).collect();
    let appends = (0..60).map(|number| nodes[number % 2].append(append("s", vec![event(1)])));
    for written in in_time(join_all(appends)).await {
        written.unwrap();
    }
    let mut transaction = nodes[0].begin().await.unwrap();
    transaction.append(append("s", vec![event(1)])).await.unwrap();
    transaction.commit().await.unwrap();
    let log = log(&nodes[1]).await;
    assert_eq!(log.len(), 61);
    assert_gapless(&log);
}

/// H23: everybody appends to one stream, at any version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_003_a_hot_stream_takes_every_append() {
    const CALLERS: u64 = 256;
    let schema = schema().await;
    let nodes = [store(&schema).await, store(&schema).await];
    let appends = (0..CALLERS).map(|number| {
        let store = nodes[usize::from(number % 2 == 0)].clone();
        tokio::spawn(
            async move { store.append(append("hot", vec![event(number), event(number)])).await.unwrap() },
        )
    });
    let mut versions: Vec<_> = in_time(join_all(appends))
        .await
        .into_iter()
        .map(|written| written.unwrap().streams[0].version)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=CALLERS).map(|number| 2 * number).collect::<Vec<_>>());
    let log = log(&nodes[0]).await;
    assert_gapless(&log);
    assert!(log.chunks(2).all(|pair| pair[0].data == pair[1].data), "an append lies together");
}
