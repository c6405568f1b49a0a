use cqrs::MemoryStore;
use cqrs::dispatch::{JsonDispatched, TimeoutOutcome};
use cqrs::id::{CommandId, CorrelationId};
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::gate::Gate;
use crate::support::log::{events_of, sound_log};
use crate::support::tally::{Held, Tallies, TooLittle, add, tallies};

#[tokio::test]
async fn a_command_by_name_goes_the_same_way_as_a_typed_one() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("1", 1)).await.unwrap();
    let data = json!({ "id": "1", "amounts": [2, 3] });
    let dispatched = tallies.dispatch_json("AddEach", data).metadata("actor", "u-7").await.unwrap();
    let JsonDispatched { aggregate_id, stream_id, version, position, repeated, .. } = &dispatched;
    assert_eq!((aggregate_id.as_str(), stream_id.as_str()), ("1", "tally-1"));
    assert_eq!((*version, *position, *repeated), (3, Some(3), false));
    let json = serde_json::to_value(&dispatched).unwrap();
    let added = |amount| json!({ "type": "tally.Added", "data": { "amount": amount } });
    assert_eq!(json["events"], json!([added(2), added(3)]));
    let stored = &events_of(&store, "tally-1").await[2];
    assert_eq!(stored.metadata.get("actor"), Some(&json!("u-7")));
    assert_eq!(stored.causation_id, dispatched.command_id.into());
    assert_eq!(stored.correlation_id, dispatched.correlation_id);
    tallies.shutdown().await;
}

#[tokio::test]
async fn options_hold_for_a_command_by_name() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let add = || tallies.dispatch_json("Add", json!({ "id": "1", "amount": 1 }));
    let (id, correlation) = (CommandId::new(), CorrelationId::new());
    let first = add().command_id(id).correlation_id(correlation).expected_version(0).await.unwrap();
    assert_eq!((first.command_id, first.correlation_id), (id, correlation));
    let again = add().command_id(id).await.unwrap();
    assert_eq!((again.repeated, again.version), (true, 1));
    assert!(!add().idempotency_key("k").await.unwrap().repeated);
    assert!(add().idempotency_key("k").await.unwrap().repeated);
    let error = add().expected_version(1).await.unwrap_err();
    assert!(matches!(error, DispatchError::WrongExpectedVersion { expected: 1, actual: 2, .. }), "{error:?}");
    assert_eq!(sound_log(&store).await.len(), 2);
    tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_holds_for_a_command_by_name() {
    let builder = Tallies::builder(MemoryStore::new()).command_handler(Held(Gate::shut()));
    let tallies = builder.start().await.unwrap();
    let limit = Duration::from_millis(20);
    let dispatch = tallies.dispatch_json("AddHeld", json!({ "id": "1", "amount": 1 }));
    let error = dispatch.timeout(limit).await.unwrap_err();
    assert!(
        matches!(error, DispatchError::Timeout { outcome: TimeoutOutcome::DidNotRun, limit: told, .. } if told == limit),
        "{error:?}"
    );
    tallies.shutdown_within(Duration::ZERO).await;
}

// The domain's error keeps its type behind the erased one.
#[tokio::test]
async fn a_refusal_can_be_told_apart() {
    let tallies = tallies(MemoryStore::new()).await;
    let error = tallies.dispatch_json("Take", json!({ "id": "1", "amount": 1 })).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (FailureKind::Rejected, "0 is too little"));
    let rejection = error.rejection().unwrap();
    assert_eq!(rejection.downcast_ref::<TooLittle>(), Some(&TooLittle { total: 0 }));
    tallies.shutdown().await;
}

// E-005, E-025, T-022
#[tokio::test]
async fn e_025_an_unknown_command_is_refused_with_its_name() {
    let tallies = tallies(MemoryStore::new()).await;
    for unknown in ["", "add", "Nothing"] {
        let error = tallies.dispatch_json(unknown, json!({ "id": "1", "amount": 1 })).await.unwrap_err();
        assert!(
            matches!(&error, DispatchError::UnknownCommand { command, .. } if command == unknown),
            "{error:?}"
        );
    }
    tallies.shutdown().await;
}

// C-028, C-034
#[tokio::test]
async fn c_028_data_that_does_not_fit_is_refused() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let malformed: [Value; 5] = [
        json!({}),
        json!(null),
        json!({ "id": "1", "amount": -1 }),
        json!({ "id": 1, "amount": 1 }),
        json!({ "id": "1", "amount": 1e300 }),
    ];
    for data in malformed {
        let error = tallies.dispatch_json("Add", data).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Invalid);
        assert!(matches!(&error, DispatchError::Malformed { command, .. } if command == "Add"), "{error:?}");
    }
    assert!(sound_log(&store).await.is_empty());
    tallies.shutdown().await;
}
