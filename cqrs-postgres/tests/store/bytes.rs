use cqrs_core::store::{AppendError, EventStore as _, StoreError};
use cqrs_postgres::Payload;

use crate::support::{append, event, event_with, fresh, log};

/// H18: kept as bytes, a payload is not even read.
#[tokio::test]
async fn pg_022_bytea_keeps_every_byte() {
    let store = fresh(|schema| schema.payload(Payload::Bytea)).await;
    let payloads = ["{ \"b\": 1e3,  \"a\": \"\\u0000\", \"b\": 2 }", "not JSON at all", ""];
    let events = payloads.iter().map(|payload| event_with(*payload)).collect();
    store.append(append("s", events)).await.unwrap();
    let kept: Vec<_> = log(&store).await.into_iter().map(|event| event.data).collect();
    assert_eq!(kept, payloads);
}

/// H18: kept as jsonb, a payload is a value, and a text that is none is refused with nothing written.
#[tokio::test]
async fn pg_116_jsonb_refuses_what_is_no_json() {
    let store = fresh(|schema| schema).await;
    for bad in ["not JSON at all", "", "{\"text\":\"\\u0000\"}", "\u{0}"] {
        let refused = store.append(append("s", vec![event(1), event_with(bad)])).await;
        assert!(matches!(refused, Err(AppendError::Store(StoreError::Failed(_)))), "{bad:?}: {refused:?}");
    }
    assert!(log(&store).await.is_empty());
    store.append(append("s", vec![event(1)])).await.unwrap();
    assert_eq!(log(&store).await.len(), 1);
}

#[tokio::test]
async fn an_append_that_is_too_large_is_refused_before_it_is_sent() {
    let store = fresh(|schema| schema).await;
    let large = append("s", vec![event_with(format!("\"{}\"", "x".repeat(64 * 1024 * 1024)))]);
    let id = large.id;
    match store.append(large).await {
        Err(AppendError::TooLarge { append_id, bytes, limit }) => {
            assert_eq!((append_id, limit), (id, 16 * 1024 * 1024));
            assert!(bytes > 64 * 1024 * 1024);
        }
        other => panic!("expected a refusal, found {other:?}"),
    }
    assert!(log(&store).await.is_empty());
}
