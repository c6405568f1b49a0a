use std::pin::pin;
use std::time::{Duration, Instant};

use cqrs_postgres::testing::{Proxy, TestSchema, TestServer};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;

use crate::{number, run};

/// Long enough to see that nothing comes, where something would come at once.
const SOON: Duration = Duration::from_millis(100);
/// What takes longer hangs.
const NEVER: Duration = Duration::from_secs(30);

async fn proxy() -> Proxy {
    Proxy::start(TestServer::shared().await.unwrap().url()).await.unwrap()
}

async fn connect(proxy: &Proxy) -> PgConnection {
    PgConnection::connect(proxy.url()).await.unwrap()
}

/// A table `t` with a column `n` in a schema of its own, and the statement that enters it.
async fn table() -> (TestSchema, String) {
    let schema = TestSchema::new(TestServer::shared().await.unwrap());
    let enter = format!("SET search_path TO {}", schema.name());
    let create = format!("CREATE SCHEMA {}; CREATE TABLE t (n bigint)", schema.name());
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut schema.connect().await.unwrap()).await.unwrap();
    (schema, enter)
}

async fn rows(schema: &TestSchema) -> i64 {
    number(&mut schema.connect().await.unwrap(), "SELECT count(*) FROM t").await
}

#[tokio::test]
async fn bytes_pass_unchanged() {
    let proxy = proxy().await;
    proxy.delay_answers(Duration::from_millis(1));
    let mut connection = connect(&proxy).await;
    let text = "0123456789".repeat(300_000);
    let echoed: String =
        sqlx::query_scalar("SELECT $1::text").bind(&text).fetch_one(&mut connection).await.unwrap();
    assert!(echoed == text);
    connection.close().await.unwrap();
    assert_eq!((proxy.connections(), proxy.cuts(), proxy.lost_answers()), (1, 0, 0));
}

#[tokio::test]
async fn a_url_may_name_another_database() {
    let proxy = proxy().await;
    let database =
        cqrs_postgres::testing::TestDatabase::new(TestServer::shared().await.unwrap()).await.unwrap();
    let mut connection = PgConnection::connect(&proxy.url_of(database.url()).unwrap()).await.unwrap();
    let name: String =
        sqlx::query_scalar("SELECT current_database()").fetch_one(&mut connection).await.unwrap();
    assert_eq!(name, database.name());
    database.drop_all().await.unwrap();
}

#[tokio::test]
async fn a_cut_ends_what_is_open() {
    let proxy = proxy().await;
    let (mut idle, mut busy) = (connect(&proxy).await, connect(&proxy).await);
    {
        let mut query = pin!(sqlx::raw_sql("SELECT pg_sleep(60)").execute(&mut busy));
        timeout(SOON, &mut query).await.expect_err("a query that lasts");
        proxy.cut().await;
        query.await.unwrap_err();
    }
    assert_eq!(proxy.cuts(), 2);
    sqlx::raw_sql("SELECT 1").execute(&mut idle).await.unwrap_err();
    assert_eq!(number(&mut connect(&proxy).await, "SELECT 1::bigint").await, 1);
    assert_eq!((proxy.connections(), proxy.cuts()), (3, 2));
}

#[tokio::test]
async fn new_connections_are_refused() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    proxy.refuse().await;
    proxy.refuse().await;
    let refused = PgConnection::connect(proxy.url()).await.unwrap_err();
    assert!(
        matches!(&refused, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused),
        "{refused}"
    );
    assert_eq!(number(&mut open, "SELECT 1::bigint").await, 1);
    proxy.accept().await.unwrap();
    proxy.accept().await.unwrap();
    connect(&proxy).await;
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_partition_holds_all_bytes_until_it_is_healed() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    proxy.partition();
    let mut query = pin!(number(&mut open, "SELECT 1::bigint"));
    let mut new = pin!(PgConnection::connect(proxy.url()));
    timeout(SOON, &mut query).await.expect_err("an answer across a partition");
    timeout(SOON, &mut new).await.expect_err("a connection across a partition");
    proxy.heal();
    assert_eq!(query.await, 1);
    new.await.unwrap();
    assert_eq!(proxy.cuts(), 0);
}

#[tokio::test]
async fn controls_change_while_bytes_are_held() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    proxy.partition();
    let mut query = pin!(sqlx::raw_sql("SELECT 1").execute(&mut open));
    timeout(SOON, &mut query).await.expect_err("an answer across a partition");
    proxy.delay_requests(Duration::from_secs(3600));
    proxy.delay_answers(Duration::from_secs(3600));
    proxy.lose_answer_to("SELECT");
    proxy.refuse().await;
    timeout(NEVER, proxy.cut()).await.expect("a cut that waits for nothing");
    timeout(NEVER, query).await.expect("a connection that is cut").unwrap_err();
    assert_eq!((proxy.cuts(), proxy.lost_answers()), (1, 0));
}

#[tokio::test]
async fn a_lost_answer_is_one_to_what_happened() {
    let (schema, enter) = table().await;
    let proxy = proxy().await;
    let mut connection = connect(&proxy).await;
    sqlx::raw_sql(AssertSqlSafe(enter)).execute(&mut connection).await.unwrap();
    proxy.lose_answer_to("COMMIT");
    let mut transaction = connection.begin().await.unwrap();
    run(&mut transaction, "INSERT INTO t VALUES (1)").await;
    assert_eq!((rows(&schema).await, proxy.lost_answers()), (0, 0));
    transaction.commit().await.unwrap_err();
    assert_eq!((rows(&schema).await, proxy.lost_answers(), proxy.cuts()), (1, 1, 1));
    // Once.
    let mut connection = connect(&proxy).await;
    connection.begin().await.unwrap().commit().await.unwrap();
}

/// Sends an insert with a parameter twice: prepared the first time. Answers how often it was told to have
/// happened.
async fn insert_twice(proxy: &Proxy, enter: &str) -> usize {
    let mut connection = connect(proxy).await;
    sqlx::raw_sql(AssertSqlSafe(enter)).execute(&mut connection).await.unwrap();
    let mut told = 0;
    for n in [7_i64, 8] {
        let insert = sqlx::query("INSERT INTO t VALUES ($1)").bind(n);
        told += usize::from(insert.execute(&mut connection).await.is_ok());
    }
    told
}

#[tokio::test]
async fn an_answer_is_lost_by_statement_or_by_parameter() {
    let (schema, enter) = table().await;
    let proxy = proxy().await;
    proxy.lose_answer_to("INSERT INTO t");
    assert_eq!((insert_twice(&proxy, &enter).await, rows(&schema).await), (0, 1));
    proxy.lose_answer_to(8_i64.to_be_bytes());
    assert_eq!((insert_twice(&proxy, &enter).await, rows(&schema).await), (1, 3));
    assert_eq!(proxy.lost_answers(), 2);
}

#[tokio::test]
async fn a_seed_chooses_the_answers_that_are_lost() {
    let proxy = proxy().await;
    let mut fates = Vec::new();
    for seed in [1, 2, 1] {
        proxy.lose_no_answers();
        // Connecting is no request.
        let mut connections = Vec::new();
        for _ in 0..30 {
            connections.push(connect(&proxy).await);
        }
        proxy.lose_answers(0.5, seed);
        let mut fate = Vec::new();
        for connection in &mut connections {
            fate.push(sqlx::raw_sql("SELECT 1").execute(connection).await.is_ok());
        }
        fates.push(fate);
    }
    assert_eq!(fates[0], fates[2]);
    assert_ne!(fates[0], fates[1]);
    let lost = fates.iter().flatten().filter(|told| !**told).count();
    assert_eq!(proxy.lost_answers(), lost as u64);
}

#[tokio::test]
async fn latency_is_added_both_ways() {
    let proxy = proxy().await;
    let mut connection = connect(&proxy).await;
    proxy.delay_requests(Duration::from_millis(30));
    proxy.delay_answers(Duration::from_millis(20));
    let begin = Instant::now();
    run(&mut connection, "SELECT 1").await;
    assert!(begin.elapsed() >= Duration::from_millis(50), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_connections() {
    let proxy = proxy().await;
    let mut connection = connect(&proxy).await;
    let url = proxy.url().to_owned();
    drop(proxy);
    timeout(NEVER, sqlx::raw_sql("SELECT 1").execute(&mut connection)).await.unwrap().unwrap_err();
    timeout(NEVER, PgConnection::connect(&url)).await.unwrap().unwrap_err();
}
