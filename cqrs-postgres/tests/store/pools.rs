use std::time::Duration;

use cqrs_core::store::EventStore as _;
use cqrs_postgres::PostgresPool;
use futures_util::future::join_all;

use crate::support::{append, config, event, in_time, log, schema, store};

/// User code that has all its connections in use takes none from the store.
#[tokio::test]
async fn user_code_cannot_exhaust_the_store() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut head = store.watch_head();
    let greedy = (0..2).map(|_| store.user_pool().acquire());
    let held: Vec<_> = join_all(greedy).await.into_iter().map(Result::unwrap).collect();
    assert!(store.user_pool().try_acquire().is_none(), "user code has none left");
    in_time(store.append(append("s", vec![event(1)]))).await.unwrap();
    in_time(head.wait_for(|position| *position == 1)).await.unwrap();
    assert_eq!(log(&store).await.len(), 1);
    drop(held);
}

/// Stores share a pool: more stores than connections, all of them at work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_105_many_stores_share_few_connections() {
    const STORES: usize = 20;
    let schemas = join_all((0..STORES).map(|_| schema())).await;
    let pool =
        PostgresPool::connect(config(&schemas[0]).connections(3).acquire_timeout(Duration::from_secs(60)))
            .await
            .unwrap();
    let stores = in_time(join_all(schemas.iter().map(|schema| pool.store(schema.name())))).await;
    let stores: Vec<_> = stores.into_iter().map(Result::unwrap).collect();
    for round in 1..=3_u64 {
        let appends = stores.iter().map(|store| store.append(append("s", vec![event(round)])));
        for written in in_time(join_all(appends)).await {
            assert_eq!(written.unwrap().position, round);
        }
    }
    // One that goes takes nothing with it.
    let mut stores = stores;
    drop(stores.pop());
    assert_eq!(log(&stores[0]).await.len(), 3);
}

/// A pool that is closed says so, and nobody waits for ever.
#[tokio::test]
async fn a_closed_pool_is_told() {
    let schema = schema().await;
    let store = store(&schema).await;
    store.append(append("s", vec![event(1)])).await.unwrap();
    in_time(store.pool().close()).await;
    assert!(in_time(store.append(append("s", vec![event(2)]))).await.is_err());
    assert!(in_time(store.head()).await.is_err());
}

/// Who stops its runtime first and forgets the store later need not know that the store has connections.
#[test]
fn a_store_may_outlive_its_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (store, schema) = runtime.block_on(async {
        let schema = schema().await;
        let store = store(&schema).await;
        store.append(append("s", vec![event(1)])).await.unwrap();
        assert_eq!(log(&store).await.len(), 1);
        (store, schema)
    });
    drop(runtime);
    drop(store);
    std::mem::forget(schema);
}

/// Who reads page after page does so on one connection, however many there are.
#[tokio::test]
async fn the_connection_that_was_given_back_last_is_used_first() {
    let schema = schema().await;
    let store =
        PostgresPool::connect(config(&schema).connections(10)).await.unwrap().store(schema.name()).await;
    let store = store.unwrap();
    for _ in 0..100 {
        store.head().await.unwrap();
    }
    let asked = "select count(*) from pg_stat_activity where query like '%' || $1 || '%position_floor%'";
    let backends: i64 =
        sqlx::query_scalar(asked).bind(schema.name()).fetch_one(store.user_pool()).await.unwrap();
    assert_eq!(backends, 1);
}
