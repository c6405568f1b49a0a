//! What a layer may change: the command, its metadata, its ids, its options.

use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::id::{CausationId, CorrelationId};
use cqrs::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::domain::{Before, Lamps, Plan, Record, Switch, lamps, plan, switch};
use crate::support::log::{events_of, sound_log};

async fn changing(store: MemoryStore, change: fn(&mut DispatchContext)) -> (Lamps, Record) {
    lamps(store, [Plan::default(), plan(Before::Change(change)), Plan::default()]).await
}

// T-124
#[tokio::test]
async fn t_124_metadata_of_a_layer_is_stored_and_told() {
    let store = MemoryStore::new();
    let (lamps, _) = changing(store.clone(), |context| {
        assert_eq!(context.application(), "Lamps");
        context.metadata_mut().insert("seen-by", "Middle");
    })
    .await;
    let dispatched = lamps.dispatch(switch(true)).metadata("actor", "u-7").await.unwrap();
    let stored = &events_of(&store, "lamp-1").await[0].metadata;
    for metadata in [stored, dispatched.metadata()] {
        assert_eq!(metadata.get("seen-by"), Some(&json!("Middle")));
        assert_eq!(metadata.get("actor"), Some(&json!("u-7")));
    }
    lamps.shutdown().await;
}

// F-053
#[tokio::test]
async fn a_layer_may_change_the_command_and_with_it_the_aggregate() {
    let store = MemoryStore::new();
    let (lamps, _) = changing(store.clone(), |context| {
        assert_eq!(context.command().name(), "Switch");
        assert_eq!(context.command().to_json().unwrap(), json!({ "id": "1", "on": true }));
        let command = context.command_mut().downcast_mut::<Switch>().unwrap();
        command.id = "2".to_owned();
    })
    .await;
    let dispatched = lamps.dispatch(switch(true)).await.unwrap();
    assert_eq!(dispatched.stream_id().as_str(), "lamp-2");
    assert_eq!(sound_log(&store).await[0].stream_id.as_str(), "lamp-2");
    lamps.shutdown().await;
}

#[tokio::test]
async fn a_layer_may_change_ids_and_options() {
    const CORRELATION: Uuid = Uuid::from_u128(1);
    const CAUSATION: Uuid = Uuid::from_u128(2);
    let store = MemoryStore::new();
    let (lamps, record) = changing(store.clone(), |context| {
        context.set_correlation_id(CorrelationId::from(CORRELATION));
        context.set_causation_id(CausationId::from(CAUSATION));
        context.set_consistency(Strong);
        context.set_timeout(Duration::from_secs(60));
        context.set_expected_version(0);
    })
    .await;
    lamps.dispatch(switch(true)).await.unwrap();
    let event = &events_of(&store, "lamp-1").await[0];
    assert_eq!(event.correlation_id.as_uuid(), CORRELATION);
    assert_eq!(event.metadata.command_causation_id(), Some(CAUSATION.into()));
    assert_eq!(record.take()[3], "handled", "strong consistency holds");
    let error = lamps.dispatch(switch(false)).await.unwrap_err();
    assert!(matches!(error, DispatchError::WrongExpectedVersion { expected: 0, actual: 1, .. }), "{error:?}");
    lamps.shutdown().await;
}

// E-013
#[tokio::test]
async fn e_013_values_that_layers_leave_reach_each_other_and_the_caller() {
    fn count(context: &mut DispatchContext) {
        let seen = context.extensions().get::<u32>().copied().unwrap_or_default();
        context.extensions_mut().insert(seen + 1);
    }
    let plans = [plan(Before::Change(count)), plan(Before::Change(count)), plan(Before::Change(count))];
    let (lamps, _) = lamps(MemoryStore::new(), plans).await;
    let dispatched = lamps.dispatch(switch(true)).await.unwrap();
    assert_eq!(dispatched.extensions().get::<u32>(), Some(&3));
    assert_eq!(dispatched.extensions().get::<u64>(), None);
    lamps.shutdown().await;
}
