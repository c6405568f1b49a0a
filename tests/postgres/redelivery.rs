//! Events that are delivered again, on Postgres: what the testing kit has handlers go through.

use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use cqrs::testing::{redeliver_from, redeliver_last};

use crate::domain::{bank, pay, schema, store};

#[tokio::test]
async fn t_323_a_handler_gets_events_again() {
    let schema = schema().await;
    let store = store(&schema).await;
    let (bank, mut told) = bank(store.clone()).await;
    for _ in 0..5 {
        bank.dispatch(pay("a", 1)).await.unwrap();
    }
    redeliver_last(&bank, "statements", 2).await;
    redeliver_from(&bank, "statements", 3).await;
    bank.dispatch(pay("a", 1)).consistency(Strong).await.unwrap();
    let positions: Vec<u64> =
        std::iter::from_fn(|| told.try_recv().ok()).map(|(_, position)| position).collect();
    assert_eq!(positions, [1, 2, 3, 4, 5, 4, 5, 3, 4, 5, 6]);
    assert!(bank.shutdown().await.is_clean());
    assert_eq!(store.checkpoint("statements").await.unwrap(), Some(6));
}
