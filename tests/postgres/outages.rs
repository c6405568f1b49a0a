//! What happens to applications when their database goes away, and comes back.

use cqrs::dispatch::DispatchError;
use cqrs::postgres::testing::{StopMode, TestSchema, TestServer};
use cqrs::prelude::*;

use crate::domain::{Account, Bank, bank, in_time, pay, schema, store};

/// Dispatches until it works again; every failure on the way must be one of the store, and say so.
async fn dispatch_until_it_works(bank: &Bank, key: &str) {
    in_time(async {
        loop {
            match bank.dispatch(pay("a", 1)).idempotency_key(key).await {
                Ok(_) => return,
                Err(DispatchError::Store { .. } | DispatchError::OutcomeUnknown { .. }) => {
                    tokio::task::yield_now().await;
                }
                Err(other) => panic!("expected a failure of the store, found {other:?}"),
            }
        }
    })
    .await;
}

/// CA-4: a server that stops and comes back loses no acknowledged command; the application recovers by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ca_004_an_application_outlives_its_server() {
    let server = TestServer::builder().durable().start().await.unwrap();
    let schema = TestSchema::new(&server);
    let (bank, mut hear) = bank(store(&schema).await).await;
    bank.dispatch(pay("a", 1)).consistency(Strong).await.unwrap();
    for round in 0..3 {
        server.stop(StopMode::Immediate).await.unwrap();
        let failed = in_time(bank.dispatch(pay("a", 1))).await.unwrap_err();
        assert!(
            matches!(
                failed,
                DispatchError::Store { .. }
                    | DispatchError::OutcomeUnknown { .. }
                    | DispatchError::Timeout { .. }
            ),
            "{failed:?}"
        );
        server.start_again().await.unwrap();
        dispatch_until_it_works(&bank, &format!("round-{round}")).await;
    }
    let account = bank.aggregate_state::<Account>("a").await.unwrap();
    assert!(account.state.balance >= 4, "what was acknowledged is there: {account:?}");
    in_time(bank.dispatch(pay("a", 1)).consistency(Strong)).await.unwrap();
    let mut positions = Vec::new();
    while let Ok((_, position)) = hear.try_recv() {
        positions.push(position);
    }
    positions.dedup();
    assert_eq!(positions, (1..=account.version + 1).collect::<Vec<_>>(), "no event is passed over");
    bank.shutdown().await;
}

/// CA-4: a schema that is dropped is the trouble of its own application.
#[tokio::test]
async fn ca_004_a_dropped_schema_is_the_trouble_of_one() {
    let (first, second) = (schema().await, schema().await);
    let stores = [store(&first).await, store(&second).await];
    let ((gone, _), (stays, _hear)) = (bank(stores[0].clone()).await, bank(stores[1].clone()).await);
    gone.dispatch(pay("a", 1)).await.unwrap();
    stores[0].pool().drop_schema(first.name()).await.unwrap();
    let failed = in_time(gone.dispatch(pay("b", 1))).await.unwrap_err();
    assert!(matches!(failed, DispatchError::Store { .. } | DispatchError::Replay { .. }), "{failed:?}");
    stays.dispatch(pay("a", 1)).consistency(Strong).await.unwrap();
    gone.shutdown().await;
    stays.shutdown().await;
}
