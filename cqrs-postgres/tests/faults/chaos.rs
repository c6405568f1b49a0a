use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cqrs_core::store::{EventFilter, EventStore as _, ExpectedVersion};
use cqrs_postgres::testing::Proxy;
use fastrand::Rng;
use futures_util::future::join_all;
use sqlx::AssertSqlSafe;

use crate::ledger::Ledger;
use crate::support::{append, append_at, config, config_at, durable, in_time, open};

/// Everything at once: eight writers on three nodes, connections that are cut, processes of the server that are
/// ended, answers that are lost, and a reader that polls as fast as it can and never sees a hole (H1, H11).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pg_111_no_hole_in_chaos() {
    const WRITERS: u64 = 8;
    const APPENDS: u64 = 120;
    let (_server, schema) = durable().await;
    let reader = open(config(&schema)).await;
    let (mut proxies, mut nodes) = (Vec::new(), Vec::new());
    for seed in 0..3 {
        let proxy = Proxy::start(schema.url()).await.unwrap();
        nodes.push(open(config_at(proxy.url(), &schema)).await);
        proxy.lose_answers(0.01, seed);
        proxies.push(proxy);
    }
    let (ledger, over) = (Arc::new(Ledger::default()), Arc::new(AtomicBool::new(false)));
    let writers = (0..WRITERS).map(|writer| {
        let (store, ledger) = (nodes[usize::try_from(writer % 3).unwrap()].clone(), Arc::clone(&ledger));
        tokio::spawn(async move {
            let mut rng = Rng::with_seed(writer);
            for version in 0..APPENDS {
                let exact = append_at(&format!("own-{writer}"), ExpectedVersion::Exact(version), 1);
                ledger.insist(&store, &exact).await.unwrap();
                let shared = append(&format!("shared-{}", rng.u8(0..4)), rng.u64(1..4));
                ledger.insist(&store, &shared).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let polling = tokio::spawn({
        let (store, over) = (reader.clone(), Arc::clone(&over));
        async move {
            let mut seen = 0;
            loop {
                let is_last = over.load(Ordering::Acquire);
                let page = store.read_log(seen, &EventFilter::all(), 50).await.unwrap();
                for event in &page.events {
                    assert_eq!(event.position, seen + 1, "a position was passed over");
                    seen += 1;
                }
                assert_eq!(page.read_to, seen);
                if is_last && page.events.is_empty() {
                    return seen;
                }
            }
        }
    });
    let mut rng = Rng::with_seed(111);
    let mut connection = schema.connect().await.unwrap();
    while ledger.written() < 2 * WRITERS * APPENDS - 50 {
        ledger.grow(20).await;
        if rng.bool() {
            proxies[rng.usize(0..3)].cut().await;
        } else {
            let kill = format!(
                "select pg_terminate_backend(pid) from pg_stat_activity where query like '%{}.append_%' \
                 and pid <> pg_backend_pid() order by pid offset {} limit 2",
                schema.name(),
                rng.u8(0..4)
            );
            sqlx::raw_sql(AssertSqlSafe(kill)).execute(&mut connection).await.unwrap();
        }
    }
    for writer in in_time(join_all(writers)).await {
        writer.unwrap();
    }
    over.store(true, Ordering::Release);
    let seen = in_time(polling).await.unwrap();
    proxies.iter().for_each(Proxy::lose_no_answers);
    assert_eq!(ledger.written(), 2 * WRITERS * APPENDS);
    ledger.prove(&schema, &reader).await;
    assert_eq!(reader.head().await.unwrap(), seen);
}
