use cqrs_core::id::NodeId;
use cqrs_core::store::{CheckpointStore as _, Direction, EventFilter, EventStore as _, LeaseStore as _};

use crate::ledger::Ledger;
use crate::support::{NEVER, append, config, in_time, open, shared, stream};

/// User code that holds all of its connections, within transactions, delays nothing of the store's.
#[tokio::test]
async fn user_code_cannot_exhaust_the_store() {
    let schema = shared().await;
    let (store, other) = (open(config(&schema)).await, open(config(&schema)).await);
    let ledger = Ledger::default();
    let held = [store.begin().await.unwrap(), store.begin().await.unwrap()];
    assert!(store.user_pool().try_acquire().is_none(), "user code has no connection left");
    let mut head = store.watch_head();
    for number in 1..=10 {
        in_time(ledger.append(&store, &append("s", 1))).await.unwrap();
        in_time(ledger.append(&other, &append("s", 1))).await.unwrap();
        in_time(head.wait_for(|position| *position == 2 * number)).await.unwrap();
    }
    let owner = NodeId::new();
    let epoch = in_time(store.acquire_lease("handler", owner, NEVER)).await.unwrap().unwrap();
    assert_eq!(in_time(store.renew_leases(owner, NEVER)).await.unwrap().len(), 1);
    in_time(store.save_checkpoint("handler", 20, epoch)).await.unwrap();
    assert_eq!(in_time(store.read_log(0, &EventFilter::all(), 99)).await.unwrap().events.len(), 20);
    let read = in_time(store.read_stream(&stream("s"), 1, Direction::Forward, 99)).await.unwrap();
    assert_eq!(read.len(), 20);
    drop(held);
    ledger.prove(&schema, &store).await;
}
