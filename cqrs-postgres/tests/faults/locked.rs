use std::time::Duration;

use cqrs_core::store::{AppendError, EventFilter, EventStore as _, StoreError};
use cqrs_postgres::PostgresConfig;
use futures_util::future::join_all;

use crate::ledger::Ledger;
use crate::support::{append, append_at, config, durable, in_time, open};

/// A transaction of the user holds the log: others are told within the time that was set, each once, reads go on, and
/// what was undone leaves no hole (H8, H10).
async fn a_held_log_is_told(limit: impl Fn(PostgresConfig) -> PostgresConfig, told_by_server: &str) {
    let (server, schema) = durable().await;
    let (store, other) = (open(limit(config(&schema))).await, open(limit(config(&schema))).await);
    let ledger = Ledger::default();
    ledger.append(&store, &append("s", 1)).await.unwrap();
    let mut holder = store.begin().await.unwrap();
    holder.append(append("held", 3)).await.unwrap();
    let waiting: Vec<_> = (0..8).map(|number| append(&format!("s-{number}"), 1)).collect();
    let calls = join_all(
        (0..)
            .zip(&waiting)
            .map(|(number, append)| ledger.append(if number % 2 == 0 { &store } else { &other }, append)),
    );
    for told in in_time(calls).await {
        assert!(matches!(told, Err(AppendError::Store(StoreError::Unavailable(_)))), "{told:?}");
    }
    assert_eq!(store.read_log(0, &EventFilter::all(), 9).await.unwrap().events.len(), 1);
    // Whoever waits longer than was said has waited more than once.
    let log = std::fs::read_to_string(server.folder().unwrap().join("log")).unwrap();
    let waits = log.matches(told_by_server).count();
    assert!((2..=8).contains(&waits), "the log was waited for {waits} times");

    holder.rollback().await.unwrap();
    for append in &waiting {
        in_time(ledger.append(&store, append)).await.unwrap();
    }
    ledger.prove(&schema, &other).await;
}

#[tokio::test]
async fn pg_118_a_lock_timeout_is_told_at_once() {
    let limit = |config: PostgresConfig| config.lock_timeout(Duration::from_millis(300));
    a_held_log_is_told(limit, "canceling statement due to lock timeout").await;
}

#[tokio::test]
async fn pg_118_a_statement_timeout_is_told_at_once() {
    let limit = |config: PostgresConfig| config.statement_timeout(Duration::from_millis(300));
    a_held_log_is_told(limit, "canceling statement due to statement timeout").await;
}

/// A backend that is killed while it waits for the log has written nothing, and its append is written once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_115_killed_while_waiting_for_the_log() {
    let (_server, schema) = durable().await;
    let store = open(config(&schema)).await;
    let ledger = Ledger::default();
    let mut holder = store.begin().await.unwrap();
    holder.append(append("held", 1)).await.unwrap();
    let killing = async {
        let mut connection = schema.connect().await.unwrap();
        for _ in 0..3 {
            let kill = "select count(pg_terminate_backend(pid, 10000)) from pg_locks \
                        where locktype = 'advisory' and not granted";
            while sqlx::query_scalar::<_, i64>(kill).fetch_one(&mut connection).await.unwrap() == 0 {}
        }
        holder.commit().await.unwrap();
    };
    let exact = append_at("s", cqrs_core::store::ExpectedVersion::NoStream, 2);
    let (told, ()) = in_time(async { tokio::join!(ledger.append(&store, &exact), killing) }).await;
    assert_eq!(told.unwrap().position, 3);
    let log = store.read_log(0, &EventFilter::all(), 9).await.unwrap().events;
    assert_eq!(log.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3]);
}
