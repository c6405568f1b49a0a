//! Publishers on Postgres: everything reaches the broker in the order of the log, whichever node hands it over.

use cqrs::prelude::*;
use cqrs::publisher::{BatchLimits, PublishError};
use cqrs::store::{CheckpointStore as _, EventFilter, EventStore as _};
use cqrs::testing::{TestPublishError, TestPublisher};

use crate::domain::{Desk, Paid, in_time, pay, schema, store};

application! {
    /// Publishers are given by each test.
    struct Till {
        routers: [Desk],
    }
}

fn broker() -> TestPublisher<Paid> {
    TestPublisher::new().limits(BatchLimits::new().messages(7))
}

/// The distinct messages are those of the log, and what came twice came under one id.
async fn check_messages(broker: &TestPublisher<Paid>, store: &PostgresStore, payments: usize) {
    let log = store.read_log(0, &EventFilter::all(), 1_000).await.unwrap().events;
    let distinct = broker.distinct_messages();
    let told: Vec<_> = distinct.iter().map(|message| (message.position, message.event_id)).collect();
    assert_eq!(told, log.iter().map(|event| (event.position, event.event_id)).collect::<Vec<_>>());
    assert_eq!(told.len(), payments);
    assert!(broker.messages().iter().all(|message| distinct.contains(message)));
}

#[tokio::test]
async fn what_happens_at_the_broker_changes_neither_order_nor_ids() {
    let schema = schema().await;
    let store = store(&schema).await;
    let broker = broker();
    broker.confirm_first(1).fail_after("lost").fail_before("away").confirm_first(2);
    let till = Till::builder(store.clone()).publisher(broker.clone()).start().await.unwrap();
    for number in 0..30 {
        till.dispatch(pay(["a", "b", "c"][number % 3], 1)).await.unwrap();
    }
    in_time(till.dispatch(pay("a", 1)).consistency(Strong)).await.unwrap();
    check_messages(&broker, &store, 31).await;
    till.shutdown().await;
    assert_eq!(store.checkpoint("test-publisher").await.unwrap(), Some(31));
}

/// One node publishes at a time; when it stops, the next one goes on behind what was confirmed.
#[tokio::test]
async fn another_node_goes_on_where_one_has_stopped() {
    let schema = schema().await;
    let broker = broker();
    let node = async |name: &str| {
        let builder = Till::builder(store(&schema).await).node(name).publisher(broker.clone());
        builder.start().await.unwrap()
    };
    let (first, second) = (node("a").await, node("b").await);
    for _ in 0..10 {
        second.dispatch(pay("a", 1)).await.unwrap();
    }
    in_time(first.dispatch(pay("a", 1)).consistency(Strong)).await.unwrap();
    first.shutdown().await;
    in_time(second.dispatch(pay("b", 1)).consistency(Strong)).await.unwrap();
    second.shutdown().await;
    assert_eq!(broker.messages().len(), 12, "a clean stop repeats nothing");
    check_messages(&broker, &store(&schema).await, 12).await;
}

#[tokio::test]
async fn a_refused_message_waits_with_those_of_its_key_until_it_is_told_otherwise() {
    let schema = schema().await;
    let store = store(&schema).await;
    let broker = broker().on_error(|failure| match failure.error {
        PublishError::Failed(TestPublishError::Refused) => ErrorAction::Park,
        _ => failure.retry_for_ever(),
    });
    broker.refuse(|message| message.partition_key == "account-b");
    let till = Till::builder(store.clone()).publisher(broker.clone()).start().await.unwrap();
    for account in ["a", "b", "a", "b"] {
        till.dispatch(pay(account, 1)).await.unwrap();
    }
    in_time(till.dispatch(pay("c", 1)).consistency(Strong)).await.unwrap();
    let positions = |broker: &TestPublisher<Paid>| -> Vec<u64> {
        broker.messages().iter().map(|message| message.position).collect()
    };
    assert_eq!(positions(&broker), [1, 3, 5]);
    broker.refuse(|_| false);
    till.handler("test-publisher").unwrap().retry_parked("account-b").await.unwrap();
    in_time(broker.received(5)).await;
    assert_eq!(positions(&broker), [1, 3, 5, 2, 4]);
    till.shutdown().await;
}
