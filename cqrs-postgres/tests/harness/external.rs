use std::env;
use std::process::Command;

use cqrs_postgres::testing::{HarnessError, StopMode, TestDatabase, TestSchema, TestServer};
use sqlx::AssertSqlSafe;

use crate::{number, run};

const TRACES: &str = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'test%') \
    + (SELECT count(*) FROM pg_database WHERE datname LIKE 'test%')";

#[track_caller]
fn assert_refused(result: &Result<(), HarnessError>) {
    assert!(matches!(result, Err(HarnessError::NotOurs { .. })), "{result:?}");
}

/// The child of the test below: uses the server of `DATABASE_URL`, and leaves without cleaning up.
#[tokio::test]
async fn in_a_child_process() {
    if env::var_os("HARNESS_CHILD").is_none() {
        return;
    }
    let server = TestServer::shared().await.unwrap();
    assert!(server.is_external());
    assert_eq!(server.url(), env::var("DATABASE_URL").unwrap());
    assert_refused(&server.stop(StopMode::Fast).await);
    assert_refused(&server.restart(StopMode::Fast).await);
    assert_refused(&server.kill().await);
    assert_refused(&server.start_again().await);
    assert_refused(&server.pause().await);
    assert_refused(&server.resume().await);
    assert_refused(&server.folder().map(drop));

    let schema = TestSchema::new(server);
    let create = format!("CREATE SCHEMA {}", schema.name());
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut schema.connect().await.unwrap()).await.unwrap();
    let database = TestDatabase::new(server).await.unwrap();
    run(&mut database.connect().await.unwrap(), "CREATE TABLE here ()").await;
    assert_eq!(number(&mut server.connect().await.unwrap(), TRACES).await, 2);
}

#[tokio::test]
async fn the_server_of_database_url_is_used_and_left_as_it_was() {
    let server = TestServer::start().await.unwrap();
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "external::in_a_child_process"]);
    command.env("HARNESS_CHILD", "external").env("DATABASE_URL", server.url());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    assert_eq!(number(&mut server.connect().await.unwrap(), TRACES).await, 0);
}

#[tokio::test]
async fn what_is_no_url_is_told() {
    let error = cqrs_postgres::testing::Proxy::start("mysql://localhost").await.unwrap_err();
    assert!(matches!(error, HarnessError::InvalidUrl { .. }), "{error}");
}
