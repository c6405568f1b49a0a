use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cqrs_core::store::ExpectedVersion;
use cqrs_postgres::testing::StopMode;
use futures_util::future::join_all;

use crate::ledger::Ledger;
use crate::support::{append, append_at, config, durable, in_time, open, sql};

/// The server ends at once and recovers, twenty times, under callers that insist (H11, H19).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pg_115_restarts_under_load() {
    const CALLERS: u64 = 64;
    const RESTARTS: usize = 20;
    let (server, schema) = durable().await;
    let store = open(config(&schema).connections(8)).await;
    let (ledger, over) = (Arc::new(Ledger::default()), Arc::new(AtomicBool::new(false)));
    let callers = (0..CALLERS).map(|caller| {
        let (store, ledger, over) = (store.clone(), Arc::clone(&ledger), Arc::clone(&over));
        tokio::spawn(async move {
            let (own, mut version) = (format!("own-{caller}"), 0);
            while !over.load(Ordering::Relaxed) {
                // Nobody else writes there: a conflict would be one with its own first copy.
                let exact = append_at(&own, ExpectedVersion::Exact(version), 1 + caller % 3);
                version = ledger.insist(&store, &exact).await.unwrap().streams[0].version;
                ledger.insist(&store, &append(&format!("shared-{}", caller % 7), 2)).await.unwrap();
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    for _ in 0..RESTARTS {
        ledger.grow(CALLERS).await;
        server.restart(StopMode::Immediate).await.unwrap();
    }
    ledger.grow(CALLERS).await;
    over.store(true, Ordering::Relaxed);
    for caller in in_time(join_all(callers)).await {
        caller.unwrap();
    }
    ledger.prove(&schema, &store).await;
}

/// A large append is caught half-way by the end of the server, at a place of the test's choice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_115_a_large_append_is_whole_or_not_there() {
    let (server, schema) = durable().await;
    let store = open(config(&schema)).await;
    let ledger = Ledger::default();
    ledger.append(&store, &append("s", 3)).await.unwrap();
    sql(
        &schema,
        "create function wait_here() returns trigger language plpgsql set search_path from current as $$ begin \
           if new.version = 5000 then perform pg_advisory_xact_lock(4711); end if; return new; end $$; \
         create trigger wait_here before insert on events for each row execute function wait_here()",
    )
    .await;
    let mut holder = schema.connect().await.unwrap();
    sqlx::raw_sql("select pg_advisory_lock(4711)").execute(&mut holder).await.unwrap();
    let large = append("s", 10_000);
    let restart = async {
        let mut watcher = schema.connect().await.unwrap();
        let waits = "select exists (select from pg_locks where locktype = 'advisory' and not granted)";
        while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut watcher).await.unwrap() {}
        server.restart(StopMode::Immediate).await.unwrap();
    };
    let (told, ()) = in_time(async { tokio::join!(ledger.insist(&store, &large), restart) }).await;
    assert_eq!(told.unwrap().position, 10_003);
    ledger.prove(&schema, &store).await;
}
