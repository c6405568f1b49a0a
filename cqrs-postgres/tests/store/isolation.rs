use std::sync::Arc;

use cqrs_core::id::{CommandId, NodeId};
use cqrs_core::store::{
    Append, CheckpointStore as _, EventStore as _, ExpectedVersion, LeaseStore as _, StreamId,
};
use cqrs_postgres::{PostgresPool, PostgresStore};
use futures_util::future::join_all;

use crate::support::{assert_gapless, config, event, in_time, log, schema};

/// The same streams, handlers and command ids in three schemas of one database, at once: three logs that begin at 1.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ca_003_schemas_do_not_touch_each_other() {
    const COMMANDS: usize = 10_000;
    const CALLERS: usize = 50;
    let schemas = [schema().await, schema().await, schema().await];
    let pool = PostgresPool::connect(config(&schemas[0]).connections(6)).await.unwrap();
    let stores = join_all(schemas.iter().map(|schema| pool.store(schema.name()))).await;
    let stores: Vec<PostgresStore> = stores.into_iter().map(Result::unwrap).collect();
    let ids: Arc<Vec<CommandId>> = Arc::new((0..COMMANDS).map(|_| CommandId::new()).collect());
    let writers = stores.iter().flat_map(|store| (0..CALLERS).map(move |caller| (store.clone(), caller)));
    let writers = writers.map(|(store, caller)| {
        let ids = Arc::clone(&ids);
        tokio::spawn(async move {
            for (version, id) in (0..).zip(ids.iter().skip(caller).step_by(CALLERS)) {
                let stream = StreamId::new(format!("account-{caller}")).unwrap();
                let expected = ExpectedVersion::Exact(version);
                let append = Append::to_stream(*id, stream, expected, vec![event(version)]);
                assert!(!store.append(append).await.unwrap().repeated);
            }
        })
    });
    for writer in in_time(join_all(writers.collect::<Vec<_>>())).await {
        writer.unwrap();
    }
    for (number, store) in (1..).zip(&stores) {
        let log = log(store).await;
        assert_eq!(log.len(), COMMANDS);
        assert_gapless(&log);
        let epoch =
            store.acquire_lease("balances", NodeId::new(), std::time::Duration::MAX).await.unwrap().unwrap();
        assert_eq!(store.checkpoint("balances").await.unwrap(), None);
        store.save_checkpoint("balances", number, epoch).await.unwrap();
    }
    for (number, store) in (1..).zip(&stores) {
        assert_eq!(store.checkpoint("balances").await.unwrap(), Some(number));
    }
}

/// A schema that is dropped harms its own store alone.
#[tokio::test]
async fn ca_004_a_dropped_schema_harms_only_its_own() {
    let schemas = [schema().await, schema().await];
    let pool = PostgresPool::connect(config(&schemas[0])).await.unwrap();
    let stores = [pool.store(schemas[0].name()).await.unwrap(), pool.store(schemas[1].name()).await.unwrap()];
    pool.drop_schema(schemas[0].name()).await.unwrap();
    let one = || crate::support::append("s", vec![event(1)]);
    assert!(stores[0].append(one()).await.is_err());
    assert!(stores[0].head().await.is_err());
    stores[1].append(one()).await.unwrap();
    assert_eq!(stores[1].head().await.unwrap(), 1);
}
