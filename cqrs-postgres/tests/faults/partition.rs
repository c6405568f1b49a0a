use std::time::Duration;

use cqrs_core::id::NodeId;
use cqrs_core::store::{
    AppendError, Deletion, EventFilter, EventStore as _, ExpectedVersion, LeaseStore as _, Link, StoreError,
};
use cqrs_postgres::PostgresStore;
use cqrs_postgres::testing::Proxy;
use futures_util::future::join_all;

use crate::ledger::Ledger;
use crate::support::{NEVER, append, append_at, config, config_at, in_time, open, shared, stream};

/// One of two nodes loses the network for longer than it waits: the other goes on, and when the network is back
/// whatever was told unknown has one outcome (H11).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_network_settles_when_it_is_back() {
    let schema = shared().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let short = Duration::from_millis(200);
    let timeouts = config_at(proxy.url(), &schema).statement_timeout(short).acquire_timeout(short);
    let cut_off = open(timeouts.settle_timeout(Duration::from_millis(500))).await;
    let other = open(config(&schema)).await;
    let ledger = Ledger::default();
    ledger.append(&cut_off, &append("s", 1)).await.unwrap();
    // Its connections lie idle from now on.
    cut_off.head().await.unwrap();

    proxy.partition();
    let held: Vec<_> = (0..10).map(|number| append(&format!("s-{number}"), 2)).collect();
    let calls = join_all(held.iter().map(|append| ledger.append(&cut_off, append)));
    let others = async {
        for number in 0..50 {
            ledger.append(&other, &append_at("t", ExpectedVersion::Exact(number), 1)).await.unwrap();
        }
    };
    let (told, ()) = in_time(async { tokio::join!(calls, others) }).await;
    for outcome in told {
        assert!(
            matches!(
                outcome,
                Err(AppendError::OutcomeUnknown { .. } | AppendError::Store(StoreError::Unavailable(_)))
            ),
            "{outcome:?}"
        );
    }
    ledger.check(&schema).await;

    // What is held on connections that nobody has any more may arrive now, before or after it is sent again.
    proxy.heal();
    in_time(join_all(held.iter().map(|append| async { ledger.insist(&cut_off, append).await.unwrap() })))
        .await;
    assert_eq!(ledger.written(), 61);
    ledger.prove(&schema, &other).await;
}

/// A partition that is over in time is noticed by nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_partition_is_waited_for() {
    let schema = shared().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let (cut_off, other) = (open(config_at(proxy.url(), &schema)).await, open(config(&schema)).await);
    let ledger = Ledger::default();
    for round in 0..5 {
        proxy.partition();
        let held = append_at("s", ExpectedVersion::Exact(round), 1);
        let meanwhile = async {
            ledger.append(&other, &append("t", 1)).await.unwrap();
            proxy.heal();
        };
        let (told, ()) = in_time(async { tokio::join!(ledger.append(&cut_off, &held), meanwhile) }).await;
        told.unwrap();
    }
    ledger.prove(&schema, &other).await;
}

/// Every call of a node without network comes to an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_hangs_without_network() {
    let schema = shared().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let short = Duration::from_millis(200);
    let timeouts = config_at(proxy.url(), &schema).statement_timeout(short).acquire_timeout(short);
    let store = open(timeouts.settle_timeout(short).connections(10)).await;
    store.append(append("s", 1)).await.unwrap();
    join_all((0..100).map(|_| async { store.head().await.unwrap() })).await;
    proxy.partition();
    let calls = |store: PostgresStore| async move {
        let (id, filter, owner) = (append("s", 1).id, EventFilter::all(), NodeId::new());
        let link = Link { stream_id: stream("links"), expected: ExpectedVersion::Any, positions: vec![1] };
        let name = stream("s");
        tokio::join!(
            async { assert!(store.append(append("s", 1)).await.is_err()) },
            async { assert!(store.read_log(0, &filter, 10).await.is_err()) },
            async { assert!(store.head().await.is_err()) },
            async { assert!(store.outcome(id).await.is_err()) },
            async { assert!(store.acquire_lease("handler", owner, NEVER).await.is_err()) },
            async { assert!(store.link(link).await.is_err()) },
            async {
                assert!(store.delete_stream(&name, ExpectedVersion::Exact(9), Deletion::Soft).await.is_err());
            },
        );
    };
    in_time(calls(store)).await;
}
