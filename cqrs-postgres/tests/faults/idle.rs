use cqrs_core::id::NodeId;
use cqrs_core::store::{
    Direction, EventFilter, EventStore as _, ExpectedVersion, LeaseStore as _, Link, StreamId,
};
use cqrs_postgres::PostgresStore;
use cqrs_postgres::testing::TestSchema;
use futures_util::future::join_all;

use crate::ledger::Ledger;
use crate::support::{NEVER, append, config, in_time, open, shared, sql, stream};

/// A store of which every connection has ended without its knowledge.
async fn stale(schema: &TestSchema) -> PostgresStore {
    let store = open(config(schema).connections(6)).await;
    let reads = (0..50).map(|_| async {
        store.read_log(0, &EventFilter::all(), 10).await.unwrap();
    });
    join_all(reads).await;
    let kill = format!(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity \
         where pid <> pg_backend_pid() and query like '%{}%'",
        schema.name()
    );
    sql(schema, &kill).await;
    store
}

/// Connections that ended while they were idle fail nobody, however many they are.
#[tokio::test]
async fn ended_connections_fail_no_append() {
    let schema = shared().await;
    let store = stale(&schema).await;
    let ledger = Ledger::default();
    in_time(ledger.append(&store, &append("s", 1))).await.unwrap();
    ledger.prove(&schema, &store).await;
}

#[tokio::test]
async fn ended_connections_fail_no_read() {
    let schema = shared().await;
    in_time(stale(&schema).await.read_log(0, &EventFilter::all(), 10)).await.unwrap();
    in_time(stale(&schema).await.read_stream(&stream("s"), 1, Direction::Forward, 10)).await.unwrap();
    in_time(stale(&schema).await.head()).await.unwrap();
    in_time(stale(&schema).await.outcome(append("s", 1).id)).await.unwrap();
}

#[tokio::test]
async fn ended_connections_fail_nothing_else() {
    let schema = shared().await;
    let store = stale(&schema).await;
    assert!(in_time(store.acquire_lease("handler", NodeId::new(), NEVER)).await.unwrap().is_some());
    let store = stale(&schema).await;
    let written = store.append(append("s", 2)).await.unwrap();
    let links = Link {
        stream_id: StreamId::new("links").unwrap(),
        expected: ExpectedVersion::NoStream,
        positions: vec![written.position],
    };
    assert_eq!(in_time(stale(&schema).await.link(links)).await.unwrap(), 1);
    let delete = stale(&schema).await;
    in_time(delete.delete_stream(&stream("s"), ExpectedVersion::Exact(2), cqrs_core::store::Deletion::Soft))
        .await
        .unwrap();
}
