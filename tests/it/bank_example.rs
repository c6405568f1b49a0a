//! The example `bank`, as a program.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::program::example;

fn bank() -> Command {
    example("bank")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs a script given as standard input.
#[track_caller]
fn script(input: &[u8]) -> (Vec<Value>, Option<i32>) {
    let mut child = bank()
        .args(["--script", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example runs");
    child.stdin.take().expect("piped").write_all(input).expect("it reads");
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    assert_eq!(text(&stderr), "", "nothing but results");
    let results = text(&stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (results, status.code())
}

#[test]
fn the_story_tells_what_happened() {
    let output = bank().output().expect("the example runs");
    let story = text(&output.stdout);
    assert!(output.status.success(), "{story}");
    for fact in [
        "Welcome, Ada! Your account is a-1.",
        "version 2 balance 100",
        "version 3 balance  90",
        "balances  90 in 1 open accounts",
        "refused   1000 requested, 90 there",
        "invalid   amount must be positive",
        "shutdown  clean",
        "Welcome, Bob!",
        "transfer  Completed",
        "Failed(\"there is no such account\")",
        "balance    65 of Ada",
        "balance    25 of Bob",
        "at version 6",
        "No second welcome was sent: []",
        "account-a-1",
        "AccountClosed",
    ] {
        assert!(story.contains(fact), "{fact:?} is missing in:\n{story}");
    }
    // The log at the end: positions and versions without a hole.
    let log: Vec<_> = story.lines().skip_while(|line| !line.contains("added to the log")).skip(1).collect();
    let numbers: Vec<_> =
        log.iter().map(|line| line.split_whitespace().next().expect("a position")).collect();
    let expected: Vec<_> = (1..=14).map(|number: i32| number.to_string()).collect();
    assert_eq!(numbers, expected, "{story}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn a_script_of_good_lines_prints_a_result_each_and_succeeds() {
    let (results, code) = script(
        br#"{"command":"OpenAccount","data":{"account_id":"a-1","owner":"Ada"}}

{"command":"Deposit","data":{"account_id":"a-1","amount":100}}
{"command":"Withdraw","data":{"account_id":"a-1","amount":30}}"#,
    );
    assert_eq!(code, Some(0));
    let lines: Vec<_> = results.iter().map(|result| result["line"].as_u64().expect("a number")).collect();
    assert_eq!(lines, [1, 3, 4], "empty lines count, and have no result");
    let last = &results[2]["ok"];
    assert_eq!((&last["aggregate_id"], &last["stream_id"]), (&json!("a-1"), &json!("account-a-1")));
    assert_eq!(
        (&last["version"], &last["position"], &last["repeated"]),
        (&json!(3), &json!(3), &json!(false))
    );
    let expected =
        json!([{ "type": "MoneyWithdrawn", "data": { "account_id": "a-1", "amount": 30, "balance": 70 } }]);
    assert_eq!(last["events"], expected);
}

#[test]
fn a_script_with_bad_lines_reports_each_goes_on_and_fails() {
    let (results, code) = script(
        b"not JSON
{\"command\":\"Deposit\"}
{\"command\":\"Rob\",\"data\":{}}
{\"command\":\"Deposit\",\"data\":{\"account_id\":\"a-1\",\"amount\":-1}}
{\"command\":\"Deposit\",\"data\":{\"account_id\":\"a-1\",\"amount\":0}}
{\"command\":\"Deposit\",\"data\":{\"account_id\":\"a-1\",\"amount\":5}}
{\"command\":\"OpenAccount\",\"data\":{\"account_id\":\"\",\"owner\":\"Ada\"}}
\xff\xfe
{\"command\":\"OpenAccount\",\"data\":{\"account_id\":\"a-1\",\"owner\":\"Ada\"}}
{\"command\":\"Withdraw\",\"data\":{\"account_id\":\"a-1\",\"amount\":5}}
{\"command\":\"Withdraw\",\"data\":{\"account_id\":\"a-1\",\"amount\":5},\"extra\":1}
",
    );
    assert_eq!(code, Some(1));
    let kinds: Vec<_> =
        results.iter().map(|result| result["error"]["kind"].as_str().unwrap_or("ok")).collect();
    let expected = [
        "unreadable",
        "unreadable",
        "unknown_command",
        "malformed",
        "invalid",
        "rejected",
        "invalid",
        "unreadable",
        "ok",
        "rejected",
        "unreadable",
    ];
    assert_eq!(kinds, expected, "{results:#?}");
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["line"], index + 1);
        let message = &result["error"]["message"];
        assert!(
            result.get("ok").is_some() || message.as_str().is_some_and(|text| !text.is_empty()),
            "{result}"
        );
    }
    assert_eq!(results[5]["error"]["message"], "there is no such account");
    assert!(results[9]["error"]["message"].as_str().unwrap().contains("the balance is 0"));
}

#[test]
fn an_empty_script_succeeds() {
    assert_eq!(script(b""), (Vec::new(), Some(0)));
}

#[test]
fn help_says_how_it_is_used() {
    let output = bank().arg("--help").output().expect("the example runs");
    assert!(output.status.success());
    let help = text(&output.stdout);
    for part in ["--script", "JSON", "OpenAccount", "exit status is 1", "--store", "postgres://", "--schema"]
    {
        assert!(help.contains(part), "{part:?} is missing in:\n{help}");
    }
}

#[test]
fn a_file_that_is_missing_is_named() {
    let output = bank().args(["--script", "/no/such/file.jsonl"]).output().expect("the example runs");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    let message = text(&output.stderr);
    assert!(message.contains("/no/such/file.jsonl") && message.starts_with("bank: "), "{message}");
}

#[test]
fn a_script_can_be_a_file() {
    let path = std::env::temp_dir().join(format!("bank-script-{}.jsonl", std::process::id()));
    std::fs::write(&path, r#"{"command":"OpenAccount","data":{"account_id":"f","owner":"Ada"}}"#)
        .expect("written");
    let output = bank().arg("--script").arg(&path).output().expect("the example runs");
    std::fs::remove_file(&path).expect("removed");
    assert_eq!(output.status.code(), Some(0));
    let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(result["ok"]["version"], 1);
}

#[test]
fn an_unknown_option_is_refused() {
    let output = bank().arg("--no-such-option").output().expect("the example runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--no-such-option"));
}
