//! Appending to one stream: expectations, versions, positions, and what is kept of an event.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use serde_json::json;

use super::fixture::{
    Calls as _, assert_conflict, assert_duplicate, event, event_of, events, ids, json, one_to, positions,
    stream, versions,
};
use crate::event::Metadata;
use crate::store::{ExpectedVersion, Store};

/// Three appends, each at the version that the one before it left. (M-001, `pg_025`, `pg_028`)
pub async fn t_210_versions_go_on_where_they_ended(store: Arc<dyn Store>) {
    let account = stream("account-1");
    for (expected, count, version) in [(0, 1, 1), (1, 2, 3), (3, 3, 6)] {
        let appended = store
            .try_write(&account, ExpectedVersion::Exact(expected), events(count))
            .await
            .expect("the version is as expected");
        assert_eq!(appended.streams.len(), 1);
        assert_eq!(appended.streams[0].stream_id, account);
        assert_eq!(appended.streams[0].version, version);
        assert_eq!(appended.streams[0].events, count as u64);
        assert_eq!(appended.position, version);
        assert!(!appended.repeated);
    }
    assert_eq!(versions(&store.events_of(&account).await), one_to(6));
    assert_eq!(positions(&store.log().await), one_to(6));
}

/// Any version: a new stream is as good as an existing one. (M-002, `pg_001`, `pg_003`)
pub async fn t_211_any_version_takes_every_stream(store: Arc<dyn Store>) {
    let account = stream("account-1");
    for (count, version) in [(3, 3), (1, 4), (3, 7)] {
        assert_eq!(store.write(&account, count).await.streams[0].version, version);
    }
    assert_eq!(versions(&store.events_of(&account).await), one_to(7));
}

/// No stream: the first append succeeds, the next one is told what there is. (M-002)
pub async fn t_211_no_stream_takes_a_new_stream_only(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let first = store.try_write(&account, ExpectedVersion::NoStream, events(2)).await;
    assert_eq!(first.expect("the stream is new").streams[0].version, 2);
    let second = store.try_write(&account, ExpectedVersion::NoStream, events(1)).await;
    assert_conflict(second, &account, ExpectedVersion::NoStream, 2);
    assert_eq!(store.version_of(&account).await, 2);
}

/// An existing stream: a new one is refused and not begun. (M-002, `pg_005`)
pub async fn t_211_stream_exists_takes_an_existing_stream_only(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let missing = store.try_write(&account, ExpectedVersion::StreamExists, events(1)).await;
    assert_conflict(missing, &account, ExpectedVersion::StreamExists, 0);
    assert_eq!(store.info(&account).await, None);
    store.write(&account, 1).await;
    let existing = store.try_write(&account, ExpectedVersion::StreamExists, events(1)).await;
    assert_eq!(existing.expect("the stream exists").streams[0].version, 2);
}

/// An exact version: every other one is refused, naming both, and writes nothing. (M-003, N-040, `pg_006`)
pub async fn t_212_a_wrong_exact_version_is_refused(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let missing = store.try_write(&account, ExpectedVersion::Exact(1), events(1)).await;
    assert_conflict(missing, &account, ExpectedVersion::Exact(1), 0);
    store.write(&account, 3).await;
    for version in [0, 1, 2, 4, 7, i64::MAX as u64] {
        let expected = ExpectedVersion::Exact(version);
        let wrong = store.try_write(&account, expected, events(1)).await;
        assert_conflict(wrong, &account, expected, 3);
    }
    assert_eq!(store.version_of(&account).await, 3);
    assert_eq!(store.position().await, 3);
    let right = store.try_write(&account, ExpectedVersion::Exact(3), events(1)).await;
    assert_eq!(right.expect("the version is as expected").streams[0].version, 4);
}

/// What was expected and what was found stand in the message.
pub async fn pg_028_a_conflict_names_stream_expectation_and_version(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 3).await;
    let conflict = store
        .try_write(&account, ExpectedVersion::Exact(17), events(1))
        .await
        .expect_err("the version is not as expected")
        .to_string();
    for part in ["account-1", "17", "3"] {
        assert!(conflict.contains(part), "{conflict:?} does not name {part}");
    }
}

/// Exactly version 0 means no stream.
pub async fn pg_008_exactly_0_is_a_new_stream(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let expected = ExpectedVersion::Exact(0);
    let first = store.try_write(&account, expected, events(1)).await;
    assert_eq!(first.expect("the stream is new").streams[0].version, 1);
    assert_conflict(store.try_write(&account, expected, events(1)).await, &account, expected, 1);
}

/// A conflict is told from every other failure.
pub async fn e_038_only_a_wrong_version_is_a_conflict(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let once = event(1);
    let first = store.try_write(&account, ExpectedVersion::NoStream, vec![once.clone()]).await;
    first.expect("the stream is new");
    let conflict = store.try_write(&account, ExpectedVersion::NoStream, events(1)).await;
    assert!(conflict.expect_err("the stream exists").is_conflict());
    let duplicate = store.try_write(&account, ExpectedVersion::Any, vec![once]).await;
    assert!(!duplicate.expect_err("the event is stored").is_conflict());
    let nothing = store.try_link(&account, &[99]).await;
    assert!(!nothing.expect_err("the position is empty").is_conflict());
}

/// L-018: an append without events is as good as any other, and begins no stream.
pub async fn t_216_no_events_are_no_failure(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let onto_nothing = store.try_write(&account, ExpectedVersion::Any, Vec::new()).await;
    let onto_nothing = onto_nothing.expect("no event is a valid append");
    assert_eq!((onto_nothing.streams[0].version, onto_nothing.streams[0].events), (0, 0));
    assert_eq!(onto_nothing.position, 0);
    assert_eq!(store.info(&account).await, None);
    store.write(&account, 2).await;
    let onto_two = store.try_write(&account, ExpectedVersion::Exact(2), Vec::new()).await;
    let onto_two = onto_two.expect("no event is a valid append");
    assert_eq!((onto_two.streams[0].version, onto_two.streams[0].events), (2, 0));
    assert_eq!(onto_two.position, 0);
    assert_eq!(store.position().await, 2);
    assert_eq!(store.write(&account, 1).await.streams[0].version, 3);
}

/// An append without events expects all the same.
pub async fn pg_130_no_events_still_expect(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let expected = ExpectedVersion::StreamExists;
    assert_conflict(store.try_write(&account, expected, Vec::new()).await, &account, expected, 0);
    store.write(&account, 2).await;
    let expected = ExpectedVersion::Exact(1);
    assert_conflict(store.try_write(&account, expected, Vec::new()).await, &account, expected, 2);
}

/// 5,000 events in one append.
pub async fn t_217_five_thousand_events_in_one_append(store: Arc<dyn Store>) {
    many_events_in_one_append(store, 5_000).await;
}

/// More events in one append than fit into two pages of 4,000.
pub async fn pg_010_eight_thousand_and_one_events_in_one_append(store: Arc<dyn Store>) {
    many_events_in_one_append(store, 8_001).await;
}

async fn many_events_in_one_append(store: Arc<dyn Store>, count: usize) {
    let account = stream("account-1");
    let written = events(count);
    let order: Vec<_> = written.iter().map(|event| event.event_id).collect();
    let appended = store.try_write(&account, ExpectedVersion::NoStream, written).await;
    assert_eq!(appended.expect("many events are no failure").position, count as u64);
    let log = store.log().await;
    assert_eq!(positions(&log), one_to(count as u64));
    assert_eq!(versions(&log), one_to(count as u64));
    assert_eq!(ids(&log), order);
}

/// The order of the log is the order of the calls, across streams.
pub async fn pg_026_the_log_is_in_the_order_of_the_calls(store: Arc<dyn Store>) {
    let streams = [stream("account-a"), stream("account-b")];
    let mut expected = Vec::new();
    for round in 0..10_usize {
        let target = &streams[round % 2];
        let written = events(1 + round % 3);
        expected.extend(written.iter().map(|event| (target.clone(), event.event_id)));
        let appended = store.try_write(target, ExpectedVersion::Any, written).await;
        assert_eq!(appended.expect("nothing is expected").position, expected.len() as u64);
    }
    let log = store.log().await;
    let found: Vec<_> = log.iter().map(|event| (event.stream_id.clone(), event.event_id)).collect();
    assert_eq!(found, expected);
    assert_eq!(positions(&log), one_to(expected.len() as u64));
    for target in &streams {
        let events = store.events_of(target).await;
        assert_eq!(versions(&events), one_to(events.len() as u64));
    }
}

/// Versions and positions begin at 1. (E-036)
pub async fn pg_027_positions_and_versions_begin_at_1(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let appended = store.write(&account, 1).await;
    assert_eq!((appended.position, appended.streams[0].version), (1, 1));
    let first = &store.log().await[0];
    assert_eq!((first.position, first.stream_version), (1, 1));
}

/// Every part of an event comes back as it was given. (T-247, `pg_021`)
pub async fn c_014_an_event_reads_back_identical(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let metadata: Metadata = [
        ("actor", json!("u-7")),
        ("nested", json!({ "list": [1, 2.5, null, true], "empty": {} })),
        ("$kept", json!("for the framework")),
    ]
    .into_iter()
    .collect();
    let mut given = event_of("MoneyWithdrawn", 1);
    given.schema_version = 7;
    given.metadata = metadata;
    store
        .try_write(&account, ExpectedVersion::NoStream, vec![given.clone()])
        .await
        .expect("the stream is new");
    let from_stream = store.events_of(&account).await.remove(0);
    assert_eq!(from_stream.event_id, given.event_id);
    assert_eq!((from_stream.position, from_stream.stream_version), (1, 1));
    assert_eq!(from_stream.stream_id, account);
    assert_eq!(from_stream.event_type, given.event_type);
    assert_eq!(from_stream.schema_version, 7);
    assert_eq!(json(&from_stream.data), json(&given.data));
    assert_eq!(from_stream.metadata, given.metadata);
    assert_eq!(from_stream.causation_id, given.causation_id);
    assert_eq!(from_stream.correlation_id, given.correlation_id);
    assert_eq!(store.log().await, [from_stream]);
}

/// Payloads are kept: characters of every width, escapes, numbers, whatever JSON can be.
pub async fn pg_022_a_payload_is_kept(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let payloads = [
        r#"{"name":"Zoë Ångström 東京 🦀 e\u0301 \"quoted\" \\ \/ \n"}"#,
        r#"{ "z": 1, "a": 2,  "m": [ 1.0, 2.5, 12345678901234567890 ] }"#,
        r#"{"twice":1,"twice":2}"#,
        "\"text\"",
        "[]",
        "null",
    ];
    let written = payloads
        .iter()
        .enumerate()
        .map(|(number, payload)| {
            let mut given = event(number);
            given.data = Bytes::from_static(payload.as_bytes());
            given
        })
        .collect();
    store
        .try_write(&account, ExpectedVersion::NoStream, written)
        .await
        .expect("every JSON text is a payload");
    let read = store.events_of(&account).await;
    for (payload, event) in payloads.iter().zip(&read) {
        assert_eq!(json(&event.data), json(&Bytes::from_static(payload.as_bytes())));
    }
    assert_eq!(read.len(), payloads.len());
}

/// A payload of a megabyte.
pub async fn a_large_payload_is_kept(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let mut given = event(1);
    given.data = Bytes::from(format!("\"{}\"", "x".repeat(1 << 20)));
    store
        .try_write(&account, ExpectedVersion::Any, vec![given.clone()])
        .await
        .expect("a megabyte is no failure");
    assert_eq!(store.events_of(&account).await[0].data, given.data);
}

/// Events, and the stream they begin, carry the time of their recording.
pub async fn pg_023_events_carry_the_time_of_recording(store: Arc<dyn Store>) {
    let account = stream("account-1");
    // The store's clock may be another machine's.
    let tolerance = TimeDelta::minutes(1);
    let earliest = Utc::now() - tolerance;
    store.write(&account, 2).await;
    store.write(&account, 1).await;
    let latest = Utc::now() + tolerance;
    let log = store.log().await;
    assert!(log.iter().all(|event| (earliest..=latest).contains(&event.created_at)));
    assert!(log.is_sorted_by_key(|event| event.created_at));
    let info = store.info(&account).await.expect("the stream exists");
    assert!((earliest..=latest).contains(&info.created_at));
    assert!(info.created_at <= log[2].created_at, "the stream is as old as its first event");
}

/// A stored event is refused when it comes again, at whatever version. (`pg_011`, `pg_012`)
pub async fn c_020_a_stored_event_is_refused(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let written = events(3);
    let first = store.try_write(&account, ExpectedVersion::NoStream, written.clone()).await;
    first.expect("the stream is new");
    for (expected, again) in [
        (ExpectedVersion::Any, vec![written[0].clone()]),
        (ExpectedVersion::Exact(3), written.clone()),
        (ExpectedVersion::Any, vec![event(4), written[0].clone()]),
    ] {
        let duplicate = store.try_write(&account, expected, again).await;
        assert_duplicate(duplicate, written[0].event_id);
    }
    assert_eq!(ids(&store.log().await), written.iter().map(|event| event.event_id).collect::<Vec<_>>());
}

/// A stored event is refused in other streams too, and those stay as they are.
pub async fn pg_013_a_stored_event_is_refused_in_another_stream(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    let stored = event(1);
    let written = store.try_write(&first, ExpectedVersion::Any, vec![stored.clone()]).await;
    written.expect("the event is new");
    let elsewhere = store.try_write(&second, ExpectedVersion::Any, vec![event(2), stored.clone()]).await;
    assert_duplicate(elsewhere, stored.event_id);
    assert_eq!(store.info(&second).await, None);
    assert_eq!(store.position().await, 1);
}

/// An event that stands in an append twice is refused, and the append with it.
pub async fn c_020_an_event_twice_in_one_append_is_refused(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let twice = event(1);
    let refused =
        store.try_write(&account, ExpectedVersion::Any, vec![twice.clone(), event(2), twice.clone()]).await;
    assert_duplicate(refused, twice.event_id);
    assert_eq!(store.info(&account).await, None);
    assert_eq!(store.position().await, 0);
    let once = store.try_write(&account, ExpectedVersion::Any, vec![twice]).await;
    assert_eq!(once.expect("the event was not stored").position, 1);
}
