//! Records: what a handler keeps beside its checkpoint.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::fixture::Leases as _;
use crate::id::NodeId;
use crate::store::{CheckpointError, HandlerCommit, HandlerRecord, Store};

const HANDLER: &str = "balances";

fn record(kind: &'static str, key: &str, position: u64) -> HandlerRecord {
    let data = json!({ "key": key, "position": position }).to_string().into();
    HandlerRecord { kind: kind.into(), key: key.to_owned(), position, due_at: None, data }
}

/// A record as it can be compared: a store may write JSON in its own way.
fn plain(record: &HandlerRecord) -> (String, String, u64, Option<DateTime<Utc>>, Value) {
    let data = serde_json::from_slice(&record.data).expect("the data is JSON");
    (record.kind.clone().into_owned(), record.key.clone(), record.position, record.due_at, data)
}

async fn own(store: &Arc<dyn Store>) -> u64 {
    store.take(HANDLER, NodeId::new(), Duration::ZERO).await.expect("nobody has the lease")
}

async fn commit(store: &Arc<dyn Store>, epoch: u64, commit: HandlerCommit) {
    store.commit(HANDLER, epoch, commit).await.expect("the owner may write");
}

async fn keys(store: &Arc<dyn Store>, kind: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let records = store.records(HANDLER, kind, after, limit).await.expect("records can be read");
    records.into_iter().map(|record| record.key).collect()
}

/// What was written is read; a record replaces the one of its kind and key.
pub async fn a_record_is_kept_as_it_was_written(store: Arc<dyn Store>) {
    let epoch = own(&store).await;
    assert_eq!(store.record(HANDLER, "parked", "a").await.expect("records can be read"), None);
    let first = record("parked", "a", 3);
    let mut second = record("parked", "a", u64::from(u32::MAX) + 7);
    second.due_at = DateTime::from_timestamp_micros(1_700_000_000_123_456);
    for written in [first, second] {
        commit(&store, epoch, HandlerCommit::new().put(written.clone())).await;
        let read = store.record(HANDLER, "parked", "a").await.expect("records can be read");
        assert_eq!(read.as_ref().map(plain), Some(plain(&written)));
    }
    assert_eq!(store.checkpoint(HANDLER).await.expect("checkpoints can be read"), None, "it did not move");
}

/// Whatever text JSON can hold is kept: a handler could not go on if its state were refused.
pub async fn any_text_in_a_record_is_kept(store: Arc<dyn Store>) {
    let epoch = own(&store).await;
    let mut odd = record("state", "a", 3);
    odd.data = json!({ "text": "a\u{0}b \u{7f}\u{fffe} \\ \" \u{1f600}" }).to_string().into();
    commit(&store, epoch, HandlerCommit::new().put(odd.clone())).await;
    let read = store.record(HANDLER, "state", "a").await.expect("records can be read");
    assert_eq!(read.as_ref().map(plain), Some(plain(&odd)));
}

/// Several records are found at once; keys without a record give nothing.
pub async fn records_are_found_by_their_keys(store: Arc<dyn Store>) {
    let epoch = own(&store).await;
    let written = ["a", "b", "c"].into_iter().fold(HandlerCommit::new(), |written, key| {
        written.put(record("parked", key, 1)).put(record("instance", &format!("{key}2"), 1))
    });
    commit(&store, epoch, written).await;
    for (wanted, expected) in
        [(vec!["c", "x", "a", "a2"], vec!["a", "c"]), (vec!["x"], vec![]), (vec![], vec![])]
    {
        let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
        let found = store.records_of(HANDLER, "parked", &wanted).await.expect("records can be read");
        let mut found: Vec<_> = found.into_iter().map(|record| record.key).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }
}

/// Records of other kinds and handlers are others.
pub async fn records_of_kinds_and_handlers_do_not_mix(store: Arc<dyn Store>) {
    let epoch = own(&store).await;
    let both = HandlerCommit::new().put(record("parked", "a", 1)).put(record("instance", "a", 2));
    commit(&store, epoch, both).await;
    store
        .change_records("other", HandlerCommit::new().put(record("parked", "a", 3)))
        .await
        .expect("may be told");
    for (handler, kind, position) in
        [(HANDLER, "parked", 1), (HANDLER, "instance", 2), ("other", "parked", 3)]
    {
        let found = store.record(handler, kind, "a").await.expect("records can be read");
        assert_eq!(found.map(|found| found.position), Some(position), "{handler} {kind}");
    }
    commit(&store, epoch, HandlerCommit::new().remove("parked", "a").remove("parked", "none")).await;
    assert_eq!(store.record(HANDLER, "parked", "a").await.expect("records can be read"), None);
    assert!(store.record(HANDLER, "instance", "a").await.expect("records can be read").is_some());
    assert!(store.record("other", "parked", "a").await.expect("records can be read").is_some());
}

/// Records come in pages, in the order of the bytes of their keys.
pub async fn records_come_in_pages(store: Arc<dyn Store>) {
    let epoch = own(&store).await;
    let names = ["", "A", "B", "a", "a b", "a-1", "a-10", "a-2", "b", "Ä", "é", "🦀"];
    let all = names.iter().fold(HandlerCommit::new(), |all, name| all.put(record("parked", name, 1)));
    commit(&store, epoch, all).await;
    assert_eq!(keys(&store, "parked", None, 100).await, names);
    assert_eq!(keys(&store, "parked", None, 3).await, names[..3]);
    assert_eq!(keys(&store, "parked", Some("a"), 4).await, names[4..8]);
    assert_eq!(keys(&store, "parked", Some("a-11"), 100).await, names[7..]);
    assert_eq!(keys(&store, "parked", Some("🦀"), 100).await, [""; 0]);
    assert_eq!(keys(&store, "parked", None, 0).await, [""; 0]);
    assert_eq!(keys(&store, "none", None, 100).await, [""; 0]);
}

/// The checkpoint and the records move together, and only for the owner.
pub async fn a_commit_of_a_fenced_owner_changes_nothing(store: Arc<dyn Store>) {
    let old = own(&store).await;
    commit(&store, old, HandlerCommit::new().position(5).put(record("parked", "a", 5))).await;
    let new = own(&store).await;
    let refused = HandlerCommit::new().position(9).put(record("parked", "b", 9)).remove("parked", "a");
    let fenced = store.commit(HANDLER, old, refused).await;
    assert!(matches!(fenced, Err(CheckpointError::Fenced { epoch, .. }) if epoch == old), "{fenced:?}");
    assert_eq!(store.checkpoint(HANDLER).await.expect("checkpoints can be read"), Some(5));
    assert_eq!(keys(&store, "parked", None, 100).await, ["a"]);
    commit(&store, new, HandlerCommit::new().position(4).put(record("parked", "b", 9)).remove("parked", "a"))
        .await;
    assert_eq!(
        store.checkpoint(HANDLER).await.expect("checkpoints can be read"),
        Some(5),
        "it never goes back"
    );
    assert_eq!(keys(&store, "parked", None, 100).await, ["b"]);
}

/// What is due comes in the order of its time.
pub async fn what_is_due_is_found(store: Arc<dyn Store>) {
    let epoch = own(&store).await;
    let start = DateTime::from_timestamp_micros(1_700_000_000_000_000).expect("a time");
    let at = |seconds: i64| start + TimeDelta::seconds(seconds);
    let timers = [("c", Some(1)), ("a", Some(3)), ("b", Some(2)), ("never", None), ("late", Some(9))];
    let all = timers.iter().fold(HandlerCommit::new(), |all, (key, due)| {
        all.put(HandlerRecord { due_at: due.map(at), ..record("timer", key, 0) })
    });
    commit(&store, epoch, all).await;
    let due = async |seconds, limit| -> Vec<String> {
        let due = store.due_records(HANDLER, "timer", at(seconds), limit).await.expect("records can be read");
        due.into_iter().map(|record| record.key).collect()
    };
    assert_eq!(due(0, 10).await, [""; 0]);
    assert_eq!(due(1, 10).await, ["c"]);
    assert_eq!(due(8, 10).await, ["c", "b", "a"]);
    assert_eq!(due(99, 2).await, ["c", "b"]);
    commit(&store, epoch, HandlerCommit::new().remove("timer", "c")).await;
    assert_eq!(due(2, 10).await, ["b"]);
}

/// A thousand records at once.
pub async fn many_records_are_written_at_once(store: Arc<dyn Store>) {
    let epoch = own(&store).await;
    let names: Vec<_> = (0..1_000).map(|number| format!("{number:04}")).collect();
    let all = names.iter().fold(HandlerCommit::new(), |all, name| all.put(record("instance", name, 1)));
    commit(&store, epoch, all.clone()).await;
    assert_eq!(keys(&store, "instance", None, 2_000).await, names);
    let gone = names.iter().fold(HandlerCommit::new(), |gone, name| gone.remove("instance", name));
    commit(&store, epoch, gone).await;
    assert_eq!(keys(&store, "instance", None, 2_000).await, [""; 0]);
}
