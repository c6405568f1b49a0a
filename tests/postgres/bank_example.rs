//! The example `bank` on Postgres, as a program.

use std::process::Command;

use cqrs::postgres::testing::{TestSchema, TestServer};
use cqrs::prelude::*;
use cqrs::store::EventStore as _;
use serde_json::Value;

use crate::program::example;

/// What the program printed, what it complained about, and its exit status.
fn run(command: &mut Command) -> (String, String, Option<i32>) {
    let output = command.output().expect("the example runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn on(url: &str, schema: &str) -> Command {
    let mut command = example("bank");
    command.args(["--store", url, "--schema", schema]);
    command
}

fn script(schema: &TestSchema, lines: &str) -> (Vec<Value>, Option<i32>) {
    let path = std::env::temp_dir().join(format!("{}.jsonl", schema.name()));
    std::fs::write(&path, lines).expect("written");
    let (results, complaints, code) = run(on(schema.url(), schema.name()).arg("--script").arg(&path));
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(complaints, "", "nothing but results");
    (results.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), code)
}

#[tokio::test]
async fn a_script_goes_on_where_the_last_one_ended() {
    let schema = TestSchema::new(TestServer::shared().await.unwrap());
    let open = r#"{"command":"OpenAccount","data":{"account_id":"a-1","owner":"Ada"}}"#;
    let deposit = r#"{"command":"Deposit","data":{"account_id":"a-1","amount":100}}"#;
    let (results, code) = script(&schema, &format!("{open}\n{deposit}"));
    assert_eq!((results[1]["ok"]["version"].as_u64(), code), (Some(2), Some(0)));
    let (results, code) = script(&schema, &format!("{deposit}\n{open}"));
    assert_eq!((results[0]["ok"]["version"].as_u64(), code), (Some(3), Some(1)), "opened once is enough");
    assert_eq!(results[0]["ok"]["events"][0]["data"]["balance"], 200);
    assert_eq!(results[1]["error"]["kind"], "rejected");
}

#[tokio::test]
async fn the_story_is_told_again_with_another_account() {
    let schema = TestSchema::new(TestServer::shared().await.unwrap());
    for before in [0, 14] {
        let (story, complaints, code) = run(&mut on(schema.url(), schema.name()));
        assert_eq!((complaints.as_str(), code), ("", Some(0)));
        assert!(story.contains(&format!("Its log holds {before} events.")), "{story}");
        assert!(story.contains("No second welcome was sent: []"), "{story}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_without_a_panic() {
    let schema = TestSchema::new(TestServer::shared().await.unwrap());
    let store =
        PostgresStore::connect(PostgresConfig::new(schema.url()).schema(schema.name())).await.unwrap();
    store.bind("Library").await.unwrap();
    for (url, name, reason) in [
        ("mysql://localhost/bank", "bank", "--store takes"),
        ("postgres://localhost:port/bank", "bank", "the database URL is invalid"),
        ("postgres://localhost:1/bank", "bank", "refused"),
        (schema.url(), "pg_bank", "cannot name a schema"),
        (schema.url(), schema.name(), "belongs to application \"Library\""),
    ] {
        let (results, complaint, code) = run(&mut on(url, name));
        assert_eq!((results.as_str(), code), ("", Some(1)), "{url} {name}: {complaint}");
        assert!(complaint.starts_with("bank: ") && complaint.contains(reason), "{url} {name}: {complaint}");
    }
}
