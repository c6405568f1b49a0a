//! Transactions on rows: everything is written, or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::rows::{NAME, Rows as _, TestRows, assert_fenced, rows};
use crate::projection::{Claim, RowStore as _, RowTransaction as _};
use crate::store::{HandlerCommit, HandlerRecord};

fn record(kind: &'static str, key: &str, position: u64) -> HandlerRecord {
    let data = json!({ "key": key, "position": position }).to_string().into();
    HandlerRecord { kind: kind.into(), key: key.to_owned(), position, due_at: None, data }
}

/// The position, time and data of a record.
type Plain = (u64, Option<DateTime<Utc>>, Value);

/// Records by kind and key, as they can be compared: they come in any order, and a store may write JSON in its own way.
fn records(claim: &Claim) -> BTreeMap<(String, String), Plain> {
    let plain = |record: &HandlerRecord| {
        let data = serde_json::from_slice(&record.data).expect("the data is JSON");
        let key = (record.kind.clone().into_owned(), record.key.clone());
        (key, (record.position, record.due_at, data))
    };
    claim.records.iter().map(plain).collect()
}

/// The keys of the records of a claim.
fn keys(claim: &Claim) -> Vec<String> {
    records(claim).into_keys().map(|(kind, key)| format!("{kind} {key}")).collect()
}

/// Rows, position and records are there when the commit is.
pub async fn rows_position_and_records_are_committed_together(store: impl TestRows) {
    let place = store.build_active(NAME, 1).await;
    let commit = HandlerCommit::new().position(7).put(record("parked", "a", 3));
    store.write(&place, 0, ("a", "1"), commit).await.expect("it is owned");
    let claim = store.claim(&place).await;
    assert_eq!((claim.position, claim.is_made), (7, true));
    assert_eq!(keys(&claim), ["parked a"]);
    assert_eq!(store.generations(NAME).await[0].position, 7);
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
}

/// A commit without a position leaves it where it is.
pub async fn a_commit_without_a_position_keeps_it(store: impl TestRows) {
    let place = store.build_active(NAME, 1).await;
    store.write(&place, 0, ("a", "1"), HandlerCommit::new().position(7)).await.expect("it is owned");
    store.write(&place, 7, ("b", "2"), HandlerCommit::new()).await.expect("it is owned");
    store.write(&place, 7, ("a", "3"), HandlerCommit::new()).await.expect("it is still there");
    assert_eq!(store.claim(&place).await.position, 7);
    assert_eq!(store.read(NAME).await, rows([("a", "3"), ("b", "2")]));
}

/// A record replaces the one of its kind and key; one that is removed need not be there.
pub async fn records_are_replaced_and_removed(store: impl TestRows) {
    let place = store.build(NAME, 1).await;
    let due_at = DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time");
    let late = HandlerRecord { due_at: Some(due_at), ..record("parked", "ä \"b\"", u64::MAX >> 1) };
    let commits = [
        HandlerCommit::new().put(record("parked", "a", 1)).put(record("effect", "a", 2)).put(late.clone()),
        HandlerCommit::new().put(record("parked", "a", 9)).remove("effect", "none"),
        HandlerCommit::new().remove("effect", "a").remove("parked", "none"),
    ];
    let expected: [&[&str]; 3] = [
        &["effect a", "parked a", "parked ä \"b\""],
        &["effect a", "parked a", "parked ä \"b\""],
        &["parked a", "parked ä \"b\""],
    ];
    for (commit, expected) in commits.into_iter().zip(expected) {
        store.write(&place, 0, ("a", "1"), commit).await.expect("it is owned");
        assert_eq!(keys(&store.claim(&place).await), expected);
    }
    let all = store.claim(&place).await;
    let expected = Claim { records: vec![record("parked", "a", 9), late], ..all.clone() };
    assert_eq!(records(&all), records(&expected));
    let later = HandlerRecord { due_at: Some(due_at + TimeDelta::days(1)), ..record("parked", "a", 9) };
    store.write(&place, 0, ("a", "1"), HandlerCommit::new().put(later.clone())).await.expect("it is owned");
    let found = records(&store.claim(&place).await);
    assert_eq!(found[&("parked".to_owned(), "a".to_owned())].1, later.due_at);
}

/// What a transaction has written it sees itself, and nobody else before it is committed.
pub async fn writes_are_seen_by_others_when_they_are_committed(store: impl TestRows) {
    let place = store.build_active(NAME, 1).await;
    store.advance(&place, 0, ("a", "1")).await;
    let mut transaction = store.store(NAME).begin(&place).await.expect("it is owned");
    store.put(transaction.connection(), "a", "2").await;
    store.put(transaction.connection(), "b", "2").await;
    assert_eq!(store.written(transaction.connection()).await, rows([("a", "2"), ("b", "2")]));
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
    transaction.commit(1, HandlerCommit::new().position(2)).await.expect("it is owned");
    assert_eq!(store.read(NAME).await, rows([("a", "2"), ("b", "2")]));
}

/// T-427: what is rolled back has not been.
pub async fn t_427_what_is_rolled_back_leaves_nothing(store: impl TestRows) {
    let place = store.build_active(NAME, 1).await;
    store.advance(&place, 0, ("a", "1")).await;
    let mut transaction = store.store(NAME).begin(&place).await.expect("it is owned");
    store.put(transaction.connection(), "a", "2").await;
    transaction.roll_back().await.expect("it can be undone");
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
    store.advance(&place, 1, ("b", "2")).await;
    assert_eq!(store.read(NAME).await, rows([("a", "1"), ("b", "2")]));
}

/// T-427: nor has what is dropped.
pub async fn t_427_what_is_dropped_leaves_nothing(store: impl TestRows) {
    let place = store.build_active(NAME, 1).await;
    store.advance(&place, 0, ("a", "1")).await;
    for _ in 0..10 {
        let mut transaction = store.store(NAME).begin(&place).await.expect("it is owned");
        store.put(transaction.connection(), "a", "2").await;
        drop(transaction);
    }
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
    // Nor is it in the way of the next one.
    store.advance(&place, 1, ("a", "3")).await;
    assert_eq!(store.read(NAME).await, rows([("a", "3")]));
}

/// A commit names the position up to which its rows are made. From any other one nothing of it is written.
pub async fn a_commit_from_another_position_is_refused(store: impl TestRows) {
    let place = store.build_active(NAME, 1).await;
    store.write(&place, 0, ("a", "1"), HandlerCommit::new().position(5)).await.expect("it is owned");
    for from in [0, 4, 6, u64::MAX >> 1] {
        for commit in [HandlerCommit::new(), HandlerCommit::new().position(6)] {
            let commit = commit.put(record("parked", "a", 1));
            assert_fenced(store.write(&place, from, ("a", "2"), commit).await, &place);
        }
    }
    let claim = store.claim(&place).await;
    assert_eq!((claim.position, claim.records.len()), (5, 0));
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
    store.write(&place, 5, ("a", "2"), HandlerCommit::new().position(9)).await.expect("it is owned");
    assert_eq!(store.read(NAME).await, rows([("a", "2")]));
}

/// Of transactions that are committed at once from one position, one is.
pub async fn of_concurrent_commits_from_one_position_one_wins(store: impl TestRows) {
    let (store, writers) = (Arc::new(store), 8);
    let place = store.build_active(NAME, 1).await;
    for from in 0..5 {
        let (barrier, mut tasks) = (Arc::new(Barrier::new(writers)), JoinSet::new());
        for writer in 0..writers {
            let (store, place, barrier) = (Arc::clone(&store), place.clone(), Arc::clone(&barrier));
            tasks.spawn(async move {
                barrier.wait().await;
                let (key, commit) = (format!("{from} by {writer}"), HandlerCommit::new().position(from + 1));
                let commit = commit.put(record("parked", &key, from));
                (key.clone(), store.write(&place, from, (&key, "1"), commit).await)
            });
        }
        let mut winners = Vec::new();
        for (key, result) in tasks.join_all().await {
            match result {
                Ok(()) => winners.push(key),
                refused => assert_fenced(refused, &place),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        let claim = store.claim(&place).await;
        assert_eq!(claim.position, from + 1);
        assert_eq!(claim.records.len(), store.read(NAME).await.len());
        assert!(store.read(NAME).await.contains_key(&winners[0]));
    }
    assert_eq!(store.read(NAME).await.len(), 5);
}

/// Empty rows are created with the commit, and not before.
pub async fn a_making_that_is_undone_makes_nothing(store: impl TestRows) {
    store.store(NAME).add(NAME, 1, super::rows::LOG).await.expect("nothing is built");
    let place = store.place(1, 1);
    assert!(!store.claim(&place).await.is_made);
    for is_dropped in [false, true] {
        let mut transaction = store.store(NAME).make(&place).await.expect("it is owned");
        store.create(transaction.connection()).await;
        store.put(transaction.connection(), "a", "1").await;
        match is_dropped {
            true => drop(transaction),
            false => transaction.roll_back().await.expect("it can be undone"),
        }
        let claim = store.claim(&place).await;
        assert_eq!((claim.is_made, claim.position), (false, 0));
    }
    let mut transaction = store.store(NAME).make(&place).await.expect("it is owned");
    store.create(transaction.connection()).await;
    transaction.commit(0, HandlerCommit::new().position(0)).await.expect("it is owned");
    assert!(store.claim(&place).await.is_made);
    assert!(store.rows_of(&place).await.is_empty());
}

/// Rows that are made anew are empty.
pub async fn making_drops_what_was_there(store: impl TestRows) {
    let place = store.build(NAME, 1).await;
    store.advance(&place, 0, ("a", "1")).await;
    let mut transaction = store.store(NAME).make(&place).await.expect("it is owned");
    store.create(transaction.connection()).await;
    store.put(transaction.connection(), "b", "1").await;
    transaction.commit(1, HandlerCommit::new().position(0)).await.expect("it is owned");
    assert_eq!(store.rows_of(&place).await, rows([("b", "1")]));
    assert_eq!(store.claim(&place).await.position, 0);
}

/// A thousand rows at once, and positions far beyond what any log has.
pub async fn many_rows_and_large_positions_are_kept(store: impl TestRows) {
    let place = store.build_active(NAME, 1).await;
    let mut transaction = store.store(NAME).begin(&place).await.expect("it is owned");
    for number in 0..1_000 {
        store.put(transaction.connection(), &format!("{number:04}"), &"x".repeat(100)).await;
    }
    let position = u64::MAX >> 1;
    transaction.commit(0, HandlerCommit::new().position(position)).await.expect("it is owned");
    assert_eq!(store.read(NAME).await.len(), 1_000);
    assert_eq!(store.claim(&place).await.position, position);
}
