//! State-stored aggregates: the state is replaced, and lies beside the log.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::fixture::{Calls as _, append_of, assert_conflict, events, json, state, stream, to};
use crate::store::{AppendError, ExpectedVersion, Snapshot, Store, StoredState, StreamWrite};

/// A state comes back as it was given, and the next one replaces it.
pub async fn a_state_is_kept_and_replaced(store: Arc<dyn Store>) {
    let account = stream("account-1");
    assert_eq!(store.stored_state(&account).await.expect("states can be read"), None);
    for (expected, version, schema_version, data) in
        [(0, 3, 1, r#"{ "b": "é", "a": 1 }"#), (3, 4, 2, "[]"), (4, 10, 1, "null")]
    {
        let append = append_of([StreamWrite::State {
            stream_id: account.clone(),
            expected,
            version,
            schema_version,
            data: Bytes::from_static(data.as_bytes()),
        }]);
        let appended = store.append(append).await.expect("the version is as expected");
        assert_eq!(appended.streams[0].stream_id, account);
        assert_eq!((appended.streams[0].version, appended.streams[0].events), (version, 0));
        assert_eq!((appended.position, appended.repeated), (0, false));
        let kept = store.stored_state(&account).await.expect("states can be read").expect("there is a state");
        let StoredState { version: kept_version, schema_version: kept_schema, data: kept_data } = kept;
        assert_eq!((kept_version, kept_schema), (version, schema_version));
        assert_eq!(json(&kept_data), json(&Bytes::from_static(data.as_bytes())));
    }
}

/// A state that is not as expected is refused as a conflict, and stays.
pub async fn a_state_of_another_version_is_refused(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let missing = store.append(append_of([state(&account, 1, 2)])).await;
    assert_conflict(missing, &account, ExpectedVersion::Exact(1), 0);
    store.append(append_of([state(&account, 0, 2)])).await.expect("there is no state");
    for expected in [0, 1, 3] {
        let refused = store.append(append_of([state(&account, expected, 9)])).await;
        assert_conflict(refused, &account, ExpectedVersion::Exact(expected), 2);
    }
    let kept = store.stored_state(&account).await.expect("states can be read");
    assert_eq!(kept.expect("there is a state").version, 2);
}

/// The version of a state must grow: otherwise two writers could pass at one version.
pub async fn a_state_whose_version_does_not_grow_is_refused(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.append(append_of([state(&account, 0, 2)])).await.expect("there is no state");
    for version in [0, 1, 2] {
        let refused = store.append(append_of([state(&account, 2, version)])).await;
        assert!(
            matches!(&refused, Err(error @ AppendError::Store(_)) if !error.is_conflict()),
            "{refused:?}"
        );
    }
    let kept = store.stored_state(&account).await.expect("states can be read");
    assert_eq!(json(&kept.expect("there is a state").data), serde_json::json!({ "version": 2 }));
}

/// The log and the streams do not know of states.
pub async fn a_state_is_no_event(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.append(append_of([state(&account, 0, 5)])).await.expect("there is no state");
    assert_eq!(store.position().await, 0);
    assert_eq!(store.info(&account).await, None);
    assert!(store.events_of(&account).await.is_empty());
    assert!(store.log().await.is_empty());
}

/// Snapshots are a cache and never stand for a state.
pub async fn a_state_is_no_snapshot(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.append(append_of([state(&account, 0, 5)])).await.expect("there is no state");
    assert_eq!(store.latest_snapshot(&account).await.expect("snapshots can be read"), None);
    let snapshot = Snapshot {
        stream_id: account.clone(),
        version: 9,
        state_type: "Account".to_owned(),
        schema_version: 1,
        data: Bytes::from_static(b"{}"),
        created_at: DateTime::<Utc>::UNIX_EPOCH,
    };
    store.save_snapshot(snapshot).await.expect("snapshots can be saved");
    store.delete_snapshot(&account).await.expect("snapshots can be deleted");
    let kept = store.stored_state(&account).await.expect("states can be read");
    assert_eq!(kept.expect("there is a state").version, 5);
}

/// States and events of one append are written together or not at all.
pub async fn states_and_events_are_written_together(store: Arc<dyn Store>) {
    let (account, ledger) = (stream("account-1"), stream("ledger-1"));
    let both = |expected_state, expected_version| {
        append_of([
            state(&account, expected_state, expected_state + 1),
            to(&ledger, ExpectedVersion::Exact(expected_version), events(1)),
        ])
    };
    let made = store.append(both(0, 0)).await.expect("all is as expected");
    assert_eq!((made.streams[0].version, made.streams[1].version, made.position), (1, 1, 1));
    assert_conflict(store.append(both(1, 0)).await, &ledger, ExpectedVersion::Exact(0), 1);
    assert_conflict(store.append(both(0, 1)).await, &account, ExpectedVersion::Exact(0), 1);
    let kept = store.stored_state(&account).await.expect("states can be read");
    assert_eq!(kept.expect("there is a state").version, 1);
    assert_eq!(store.version_of(&ledger).await, 1);
}
