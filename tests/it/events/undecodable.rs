use cqrs::MemoryStore;
use cqrs::aggregate::ReplayError;
use cqrs::event::DecodeError;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use serde_json::{Value, json};

use super::domain::{name, shops};
use crate::support::log::{events_of, raw, write};

/// Why an aggregate with this event in its stream cannot execute a command.
async fn error_of(event_type: &'static str, version: u32, data: Value) -> DecodeError {
    let store = MemoryStore::new();
    write(&store, "shop-1", vec![raw(event_type, version, &data)]).await;
    let (shops, _) = shops(store.clone()).await;
    let error = shops.dispatch(name("1", "new")).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Store);
    let DispatchError::Replay { stream_id, source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(stream_id.as_str(), "shop-1");
    assert_eq!(events_of(&store, "shop-1").await.len(), 1, "nothing was written");
    // The neighbour is not affected.
    shops.dispatch(name("2", "new")).await.unwrap();
    shops.shutdown().await;
    match *source {
        ReplayError::Decode(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_of_a_newer_program_is_refused() {
    let error = error_of("shop.Priced", 4, json!({})).await;
    assert!(
        matches!(&error, DecodeError::NewerVersion { position: 1, name, version: 4, known: 3 } if name == "shop.Priced"),
        "{error:?}"
    );
}

// T-416
#[tokio::test]
async fn t_416_an_unknown_type_in_a_stream_is_an_error_with_its_name() {
    let error = error_of("shop.Unheard", 1, json!({})).await;
    assert!(
        matches!(&error, DecodeError::UnknownType { position: 1, name } if name == "shop.Unheard"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_known_type_of_another_aggregate_is_an_error() {
    let error = error_of("tally.Added", 1, json!({ "amount": 1 })).await;
    assert!(
        matches!(&error, DecodeError::ForeignType { name, stream_id, .. } if name == "tally.Added" && stream_id == "shop-1"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_undeclared_product_of_an_upcaster_is_an_error_that_says_what_to_write() {
    let error = error_of("shop.Smuggled", 1, json!(null)).await;
    assert!(
        matches!(&error, DecodeError::UndeclaredUpcast { produced, version: 1, .. } if produced == "shop.LineAdded"),
        "{error:?}"
    );
    assert!(error.to_string().contains("-> [shop.LineAdded]"), "{error}");
}

#[tokio::test]
async fn an_upcaster_that_fails_is_an_error_with_its_reason() {
    let error = error_of("shop.Lost", 1, json!(null)).await;
    assert!(
        matches!(&error, DecodeError::Upcast { source, version: 1, .. } if source.to_string() == "the receipt is gone"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_payload_that_does_not_fit_is_an_error() {
    let error = error_of("shop.Named", 1, json!({ "name": 7 })).await;
    assert!(matches!(&error, DecodeError::Malformed { name, .. } if name == "shop.Named"), "{error:?}");
}

#[tokio::test]
async fn t_416_a_handler_skips_types_that_it_did_not_ask_for() {
    let store = MemoryStore::new();
    let unheard = raw("shop.Unheard", 1, &json!({}));
    let foreign = raw("tally.Added", 1, &json!({ "amount": 1 }));
    write(&store, "elsewhere-1", vec![unheard, foreign]).await;
    let (shops, heard) = shops(store).await;
    shops.dispatch(name("1", "new")).consistency(Strong).await.unwrap();
    assert_eq!(heard.take(), [r#"Named { name: "new" }"#]);
    shops.shutdown().await;
}

#[tokio::test]
async fn a_handler_parks_an_event_that_it_asked_for_and_cannot_read() {
    let store = MemoryStore::new();
    write(&store, "shop-9", vec![raw("shop.Priced", 4, &json!({}))]).await;
    let (shops, heard) = shops(store).await;
    shops.dispatch(name("1", "new")).consistency(Strong).await.unwrap();
    assert_eq!(heard.take(), [r#"Named { name: "new" }"#], "other streams go on");
    let parked = shops.handler("listener").unwrap().parked(None, 10).await.unwrap();
    assert_eq!((parked[0].key.as_str(), parked[0].position), ("shop-9", 1));
    shops.shutdown().await;
}
