//! The harness itself: what it promises about servers and schemas.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::env;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use cqrs_postgres::testing::{StopMode, TestDatabase, TestSchema, TestServer};
use sqlx::PgConnection;
use tokio::time::timeout;

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

async fn with_table() -> TestServer {
    let server = TestServer::start().await.unwrap();
    run(&mut server.connect().await.unwrap(), "CREATE TABLE kept AS SELECT 7::bigint AS n").await;
    server
}

async fn assert_kept(server: &TestServer) {
    assert_eq!(number(&mut server.connect().await.unwrap(), "SELECT n FROM kept").await, 7);
}

#[tokio::test]
async fn a_restart_keeps_data_and_port() {
    let server = with_table().await;
    let url = server.url().to_owned();
    for mode in [StopMode::Fast, StopMode::Immediate] {
        let mut before = server.connect().await.unwrap();
        server.restart(mode).await.unwrap();
        assert!(sqlx::raw_sql("SELECT 1").execute(&mut before).await.is_err());
        assert_kept(&server).await;
    }
    assert_eq!(server.url(), url);
}

#[tokio::test]
async fn a_stopped_server_refuses_connections() {
    let server = with_table().await;
    server.stop(StopMode::Fast).await.unwrap();
    server.stop(StopMode::Fast).await.unwrap();
    server.connect().await.unwrap_err();
    server.start_again().await.unwrap();
    server.start_again().await.unwrap();
    assert_kept(&server).await;
}

#[tokio::test]
async fn a_killed_server_has_what_was_committed() {
    let server = with_table().await;
    let mut before = server.connect().await.unwrap();
    server.kill().await.unwrap();
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut before).await.is_err());
    server.connect().await.unwrap_err();
    server.start_again().await.unwrap();
    assert_kept(&server).await;
}

#[tokio::test]
async fn a_paused_server_answers_when_it_is_resumed() {
    let server = with_table().await;
    let mut connection = server.connect().await.unwrap();
    server.pause().await.unwrap();
    {
        let mut answer = Box::pin(number(&mut connection, "SELECT n FROM kept"));
        timeout(Duration::from_millis(100), &mut answer).await.expect_err("an answer of a paused server");
        server.resume().await.unwrap();
        assert_eq!(answer.await, 7);
    }
    // A pause does not keep a server from being restarted or killed.
    server.pause().await.unwrap();
    server.restart(StopMode::Fast).await.unwrap();
    server.pause().await.unwrap();
    server.kill().await.unwrap();
    server.start_again().await.unwrap();
    assert_kept(&server).await;
}

#[tokio::test]
async fn settings_are_those_of_the_server() {
    let builder = TestServer::builder().durable().setting("application_name", r"it's a \");
    let server = builder.data_on(env::temp_dir()).start().await.unwrap();
    let connection = &mut server.connect().await.unwrap();
    let setting = "SELECT count(*) FROM pg_settings WHERE (name, setting) IN \
        (('fsync', 'on'), ('synchronous_commit', 'on'), ('max_connections', '200'))";
    assert_eq!(number(connection, setting).await, 3);
    let name: String =
        sqlx::query_scalar("SELECT reset_val FROM pg_settings WHERE name = 'application_name'")
            .fetch_one(connection)
            .await
            .unwrap();
    assert_eq!(name, r"it's a \");
}

#[tokio::test]
async fn a_wrong_setting_is_told_with_the_reason() {
    let error = TestServer::builder().setting("max_connections", "many").start().await.unwrap_err();
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[tokio::test]
async fn missing_programs_are_told_by_name() {
    let error = TestServer::builder().programs("/nowhere").start().await.unwrap_err();
    assert!(error.to_string().contains("initdb"), "{error}");
}

#[test]
fn all_runtimes_share_one_server() {
    let ask = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = TestServer::shared().await.unwrap();
            assert_eq!(number(&mut server.connect().await.unwrap(), "SELECT 1::bigint").await, 1);
            server.url().to_owned()
        })
    };
    let threads: Vec<_> = (0..8).map(|_| thread::spawn(ask)).collect();
    let urls: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(urls.iter().all(|url| *url == urls[0]), "{urls:?}");
}

#[tokio::test]
async fn schemas_do_not_meet() {
    let server = TestServer::shared().await.unwrap();
    let (one, other) = (TestSchema::new(server), TestSchema::new(server));
    assert_ne!(one.name(), other.name());
    for schema in [&one, &other] {
        let mut connection = schema.connect().await.unwrap();
        let create = format!("CREATE SCHEMA {}; CREATE TABLE here ()", schema.name());
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        assert_eq!(number(&mut connection, "SELECT count(*) FROM here").await, 0);
    }
    let name = one.name().to_owned();
    one.drop_all().await.unwrap();
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = $1";
    let left = sqlx::query_scalar::<_, i64>(left).bind(name);
    assert_eq!(left.fetch_one(&mut other.connect().await.unwrap()).await.unwrap(), 0);
    other.drop_all().await.unwrap();
}

#[tokio::test]
async fn a_database_is_dropped_with_its_connections() {
    let server = TestServer::shared().await.unwrap();
    let database = TestDatabase::new(server).await.unwrap();
    let (name, mut open) = (database.name().to_owned(), database.connect().await.unwrap());
    run(&mut open, "CREATE TABLE here ()").await;
    database.drop_all().await.unwrap();
    let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM pg_database WHERE datname = $1").bind(name);
    assert_eq!(left.fetch_one(&mut server.connect().await.unwrap()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_dropped_server_leaves_nothing() {
    let server = TestServer::start().await.unwrap();
    let folder = server.folder().unwrap();
    assert!(folder.join("data").exists());
    drop(server);
    assert!(!folder.exists());
}

/// The child of the two tests below: starts a server, says where, and waits for its end.
#[tokio::test]
async fn in_a_child_process() {
    if env::var_os("HARNESS_CHILD").is_none() {
        return;
    }
    let server = TestServer::start().await.unwrap();
    if env::var("HARNESS_CHILD").unwrap() == "paused" {
        server.pause().await.unwrap();
    }
    println!("\nserver of the child: {} {}", server.url(), server.folder().unwrap().display());
    std::future::pending::<()>().await;
}

#[track_caller]
fn assert_gone_after_kill(state: &str) {
    use std::io::{BufRead, BufReader};

    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "in_a_child_process", "--nocapture"]).env("HARNESS_CHILD", state);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told =
        lines.filter_map(|line| Some(line.ok()?.strip_prefix("server of the child: ")?.to_owned()));
    let told = told.next().expect("a child that tells its server");
    let (url, folder) = told.split_once(' ').unwrap();
    assert!(std::path::Path::new(folder).join("data").exists());

    child.kill().unwrap();
    child.wait().unwrap();

    // Nothing tells when the watchdog is done: bounded looks.
    let gone = (0..60_000).any(|_| {
        thread::park_timeout(Duration::from_millis(1));
        !std::path::Path::new(folder).exists()
    });
    assert!(gone, "{folder} is still there");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        use sqlx::Connection;
        PgConnection::connect(url).await.unwrap_err();
    });
}

#[test]
fn a_server_is_gone_when_its_process_is_killed() {
    assert_gone_after_kill("running");
}

#[test]
fn a_paused_server_is_gone_when_its_process_is_killed() {
    assert_gone_after_kill("paused");
}
