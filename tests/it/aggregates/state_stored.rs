//! Aggregates whose state is stored instead of their events.

use cqrs::MemoryStore;
use cqrs::aggregate::ReplayError;
use cqrs::id::CommandId;
use cqrs::prelude::*;
use cqrs::store::{Append, EventStore as _, StreamWrite};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::log::{raw, sound_log, stream, write};
use crate::support::store::{Act, ScriptedStore};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "settings.Set")]
pub struct Set {
    pub to: u32,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = SettingsRouter, aggregate = Settings, identify_by = |_| "1")]
pub struct SetTo {
    /// One event each.
    pub values: Vec<u32>,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub value: u32,
}

#[aggregate(stream_prefix = "settings", state_stored, snapshot_version = 2)]
impl Settings {
    #[execute]
    fn set(&self, command: &SetTo) -> Vec<Set> {
        command.values.iter().map(|&to| Set { to }).collect()
    }

    #[apply]
    fn was_set(&mut self, event: &Set) {
        self.value = event.to;
    }
}

#[derive(Router)]
pub struct SettingsRouter;

application! {
    pub struct Preferences {
        routers: [SettingsRouter],
    }
}

async fn preferences(store: impl cqrs::store::Store) -> Preferences {
    Preferences::builder(store).start().await.unwrap()
}

fn set(values: &[u32]) -> SetTo {
    let values = values.to_vec();
    SetTo { values }
}

/// A state as another node would write it.
fn state(expected: u64, schema_version: u32, json: &'static str) -> Append {
    let write = StreamWrite::State {
        stream_id: stream("settings-1"),
        expected,
        version: expected + 1,
        schema_version,
        data: json.into(),
    };
    let id = CommandId::new();
    Append { id, writes: vec![write] }
}

// W-004: with a period of 0 there are no events, and the latest state is restored.
#[tokio::test]
async fn w_004_the_state_is_kept_and_no_events() {
    let store = MemoryStore::new();
    let before = preferences(store.clone()).await;
    before.dispatch(set(&[1])).await.unwrap();
    let dispatched = before.dispatch(set(&[2, 3])).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.position()), (3, None));
    assert_eq!(dispatched.events().len(), 2);
    assert!(sound_log(&store).await.is_empty());
    before.shutdown().await;
    let after = preferences(store.clone()).await;
    let state = after.aggregate_state::<Settings>(1).await.unwrap();
    assert_eq!((state.version, state.state.value), (3, 3));
    assert_eq!(after.dispatch(set(&[])).await.unwrap().version(), 3);
    let stored = store.stored_state(&stream("settings-1")).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.schema_version), (3, 2));
    after.shutdown().await;
}

// W-008, G3 for states: a stale writer decides again on the newer state.
#[tokio::test]
async fn w_008_a_conflict_is_noticed_before_anything_is_written() {
    let store = ScriptedStore::new([Act::After(state(0, 2, r#"{"value":9}"#))]);
    let preferences = preferences(store.clone()).await;
    let dispatched = preferences.dispatch(set(&[1])).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().value), (2, 1));
    assert_eq!(store.appends(), 2);
    let error = preferences.dispatch(set(&[1])).expected_version(1).await.unwrap_err();
    assert!(matches!(error, DispatchError::WrongExpectedVersion { expected: 1, actual: 2, .. }), "{error:?}");
    preferences.shutdown().await;
}

#[tokio::test]
async fn a_repetition_is_noticed_with_and_without_events() {
    let store = MemoryStore::new();
    let preferences = preferences(store).await;
    for values in [&[1, 2][..], &[]] {
        let key = format!("{values:?}");
        let first = preferences.dispatch(set(values)).idempotency_key(&key).await.unwrap();
        let second = preferences.dispatch(set(values)).idempotency_key(&key).await.unwrap();
        assert_eq!((first.is_repeated(), second.is_repeated()), (false, true));
        assert_eq!((first.version(), second.version()), (2, 2));
    }
    preferences.shutdown().await;
}

/// A command on a state that cannot be read must fail: there are no events to fall back to.
async fn unreadable(schema_version: u32, json: &'static str) -> ReplayError {
    let store = MemoryStore::new();
    store.append(state(0, schema_version, json)).await.unwrap();
    let preferences = preferences(store.clone()).await;
    let error = preferences.dispatch(set(&[1])).await.unwrap_err();
    preferences.shutdown().await;
    let stored = store.stored_state(&stream("settings-1")).await.unwrap().unwrap();
    assert_eq!(stored.data, json, "left as it was");
    match error {
        DispatchError::Replay { source, .. } => *source,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_read_is_an_error_and_stays() {
    let error = unreadable(2, r#"{"value":"x"}"#).await;
    assert!(matches!(error, ReplayError::State { aggregate: "Settings", version: 1, .. }), "{error:?}");
    let error = unreadable(3, r#"{"value":1}"#).await;
    assert!(matches!(error, ReplayError::StateVersion { found: 3, expected: 2, .. }), "{error:?}");
}

// An aggregate that had events would silently begin anew.
#[tokio::test]
async fn an_aggregate_with_events_cannot_become_state_stored() {
    let store = MemoryStore::new();
    write(&store, "settings-1", vec![raw("settings.Set", 1, &json!({ "to": 7 }))]).await;
    let preferences = preferences(store.clone()).await;
    let error = preferences.dispatch(set(&[1])).await.unwrap_err();
    let DispatchError::Replay { source, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*source, ReplayError::NotStateStored { aggregate: "Settings" }), "{source:?}");
    preferences.shutdown().await;
    assert_eq!(store.stored_state(&stream("settings-1")).await.unwrap(), None);
}
