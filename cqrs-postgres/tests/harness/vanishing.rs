use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use cqrs_postgres::testing::TestServer;
use sqlx::{Connection, PgConnection};

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
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "vanishing::in_a_child_process", "--nocapture"]).env("HARNESS_CHILD", state);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told =
        lines.filter_map(|line| Some(line.ok()?.strip_prefix("server of the child: ")?.to_owned()));
    let told = told.next().expect("a child that tells its server");
    let (url, folder) = told.split_once(' ').unwrap();
    assert!(Path::new(folder).join("data").exists());

    child.kill().unwrap();
    child.wait().unwrap();

    // Nothing tells when the watchdog is done: bounded looks.
    let gone = (0..60_000).any(|_| {
        thread::park_timeout(Duration::from_millis(1));
        !Path::new(folder).exists()
    });
    assert!(gone, "{folder} is still there");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
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
