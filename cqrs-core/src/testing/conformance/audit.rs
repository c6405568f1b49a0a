//! The audit: records of dispatches.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::audit::{AuditError, AuditOutcome, AuditQuery, AuditRecord, AuditStatus, AuditStore};
use crate::id::{AuditId, CausationId, CommandId, CorrelationId};

/// So many seconds after a certain time.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time") + TimeDelta::seconds(seconds)
}

fn record(command: &str) -> AuditRecord {
    AuditRecord {
        id: AuditId::new(),
        command_id: CommandId::new(),
        causation_id: None,
        correlation_id: CorrelationId::new(),
        occurred_at: at(0),
        command: command.to_owned(),
        data: json!({}),
        metadata: [("source", "test")].into_iter().collect(),
        actor: None,
        outcome: None,
    }
}

fn success() -> AuditOutcome {
    AuditOutcome { duration: Duration::from_micros(1_500), error: None }
}

fn failure(text: &str) -> AuditOutcome {
    let error = AuditError { kind: "rejected".to_owned(), text: text.to_owned() };
    AuditOutcome { duration: Duration::ZERO, error: Some(error) }
}

async fn begin(store: &Arc<dyn AuditStore>, record: &AuditRecord) {
    store.begin_audit(record.clone()).await.expect("a record can be written");
}

async fn end(store: &Arc<dyn AuditStore>, record: &AuditRecord, outcome: AuditOutcome) {
    store.end_audit(record.id, outcome).await.expect("a record can be completed");
}

async fn all(store: &Arc<dyn AuditStore>, query: &AuditQuery) -> Vec<AuditRecord> {
    store.audit(query, None, 100).await.expect("records can be read")
}

/// A record is found as open before it ends, and its end is found afterwards.
pub async fn t_440_a_record_is_open_until_it_ends(store: Arc<dyn AuditStore>) {
    let mut written = record("Open");
    begin(&store, &written).await;
    let found = all(&store, &AuditQuery::new()).await;
    assert_eq!((found.as_slice(), found[0].is_success()), ([written.clone()].as_slice(), None));
    end(&store, &written, success()).await;
    written.outcome = Some(success());
    let found = all(&store, &AuditQuery::new()).await;
    assert_eq!((found.as_slice(), found[0].is_success()), ([written].as_slice(), Some(true)));
}

/// Failures have a kind and a text, which may be empty; the duration is kept to the microsecond.
pub async fn t_440_an_end_is_kept_as_it_was_told(store: Arc<dyn AuditStore>) {
    for outcome in [failure("too poor: \"quoted\" and Ünicode"), failure("")] {
        let written = record("Withdraw");
        begin(&store, &written).await;
        end(&store, &written, outcome.clone()).await;
        let found = all(&store, &AuditQuery::new().command_id(written.command_id)).await;
        assert_eq!(found[0].outcome, Some(outcome));
        assert_eq!(found[0].is_success(), Some(false));
    }
    let written = record("Withdraw");
    begin(&store, &written).await;
    end(&store, &written, AuditOutcome { duration: Duration::from_nanos(1_234_567), error: None }).await;
    let found = all(&store, &AuditQuery::new().command_id(written.command_id)).await;
    let kept = found[0].outcome.as_ref().map(|outcome| outcome.duration);
    assert_eq!(kept, Some(Duration::from_micros(1_234)));
}

/// All that a record holds comes back, characters that a database does not like included.
pub async fn a_record_is_kept_as_it_was_written(store: Arc<dyn AuditStore>) {
    let mut full = record("Withdraw; drop table");
    full.causation_id = Some(CausationId::new());
    full.actor = Some("Zoë \"the\" O'Brien".to_owned());
    full.data = json!({ "b": [1, 2.5, null, "\u{0}"], "a": { "deep": true } });
    full.metadata.insert("nested", json!({ "x": [1] }));
    begin(&store, &full).await;
    assert_eq!(all(&store, &AuditQuery::new()).await, [full]);
    let mut plain = record("");
    plain.data = json!("[redacted]");
    begin(&store, &plain).await;
    assert_eq!(all(&store, &AuditQuery::new().command("")).await, [plain]);
}

/// The first record of an id stays, with its end.
pub async fn a_record_is_written_once(store: Arc<dyn AuditStore>) {
    let first = record("Open");
    begin(&store, &first).await;
    end(&store, &first, success()).await;
    begin(&store, &AuditRecord { command: "Other".to_owned(), ..first.clone() }).await;
    let kept = AuditRecord { outcome: Some(success()), ..first };
    assert_eq!(all(&store, &AuditQuery::new()).await, [kept]);
}

/// Whoever tells the end of what is not there changes nothing.
pub async fn an_end_without_a_record_is_no_failure(store: Arc<dyn AuditStore>) {
    end(&store, &record("Open"), success()).await;
    assert_eq!(all(&store, &AuditQuery::new()).await, []);
}

/// Pages follow each other by id, whatever the time of the records.
pub async fn records_come_in_pages_by_id(store: Arc<dyn AuditStore>) {
    let mut written: Vec<_> =
        (0..10).map(|number| AuditRecord { occurred_at: at(-number), ..record("Open") }).collect();
    for record in &written {
        begin(&store, record).await;
    }
    written.sort_by_key(|record| record.id);
    let page = async |after: Option<AuditId>, limit| {
        store.audit(&AuditQuery::new(), after, limit).await.expect("records can be read")
    };
    assert_eq!(page(None, 4).await, written[..4]);
    assert_eq!(page(Some(written[3].id), 100).await, written[4..]);
    assert_eq!(page(Some(written[9].id), 100).await, []);
    assert_eq!(page(None, 0).await, []);
    assert_eq!(page(None, usize::MAX).await, written);
}

/// Records of several kinds, and the one that differs in each respect.
async fn various(store: &Arc<dyn AuditStore>) -> [AuditRecord; 4] {
    let mut written = ["Open", "Open", "Close", "Open"].map(record);
    written[1].actor = Some("u-1".to_owned());
    written[2].actor = Some("u-2".to_owned());
    written[3].occurred_at = at(60);
    written[3].actor = Some("u-1".to_owned());
    for record in &written {
        begin(store, record).await;
    }
    end(store, &written[1], success()).await;
    end(store, &written[2], failure("no")).await;
    written
}

/// What a query finds, as indices of what was written.
async fn found(store: &Arc<dyn AuditStore>, written: &[AuditRecord], query: AuditQuery) -> Vec<usize> {
    let found = all(store, &query).await;
    let place = |record: &AuditRecord| written.iter().position(|written| written.id == record.id);
    found.iter().map(|record| place(record).expect("nothing else was written")).collect()
}

/// Each condition by itself.
pub async fn each_condition_chooses_its_records(store: Arc<dyn AuditStore>) {
    let written = various(&store).await;
    let all = AuditQuery::new;
    let cases = [
        (all(), vec![0, 1, 2, 3]),
        (all().command_id(written[2].command_id), vec![2]),
        (all().command_id(CommandId::new()), vec![]),
        (all().correlation_id(written[0].correlation_id), vec![0]),
        (all().actor("u-1"), vec![1, 3]),
        (all().actor("U-1"), vec![]),
        (all().command("Close"), vec![2]),
        (all().status(AuditStatus::Succeeded), vec![1]),
        (all().status(AuditStatus::Failed), vec![2]),
        (all().status(AuditStatus::Unfinished), vec![0, 3]),
        (all().since(at(60)), vec![3]),
        (all().since(at(61)), vec![]),
        (all().until(at(60)), vec![0, 1, 2]),
        (all().since(at(0)).until(at(61)), vec![0, 1, 2, 3]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&store, &written, query.clone()).await, expected, "{query:?}");
    }
}

/// Conditions together choose what fulfils all of them.
pub async fn conditions_hold_together(store: Arc<dyn AuditStore>) {
    let written = various(&store).await;
    let query = AuditQuery::new().actor("u-1").status(AuditStatus::Unfinished).since(at(1)).command("Open");
    assert_eq!(found(&store, &written, query.clone()).await, [3]);
    assert_eq!(found(&store, &written, query.until(at(2))).await, [0; 0]);
    let query = AuditQuery::new().command_id(written[1].command_id);
    assert_eq!(found(&store, &written, query.clone().actor("u-1").command("Open")).await, [1]);
    assert_eq!(
        found(&store, &written, query.clone().correlation_id(written[2].correlation_id)).await,
        [0; 0]
    );
    let behind = store.audit(&query, Some(written[1].id), 100).await.expect("records can be read");
    assert_eq!(behind, []);
}

/// Records of the past are removed, and those of the time itself stay.
pub async fn old_records_are_removed(store: Arc<dyn AuditStore>) {
    let written = various(&store).await;
    let remove = async |time| store.delete_audit_before(time).await.expect("records can be removed");
    assert_eq!(remove(at(0)).await, 0);
    assert_eq!(remove(at(60)).await, 3);
    assert_eq!(found(&store, &written, AuditQuery::new()).await, [3]);
    assert_eq!(remove(at(61)).await, 1);
    assert_eq!(all(&store, &AuditQuery::new()).await, []);
}
