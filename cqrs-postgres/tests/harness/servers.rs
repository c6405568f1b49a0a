use std::env;
use std::thread;
use std::time::Duration;

use cqrs_postgres::testing::{StopMode, TestServer};
use tokio::time::timeout;

use crate::{number, run};

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
