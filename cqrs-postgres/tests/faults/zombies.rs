use bytes::Bytes;
use cqrs_core::id::NodeId;
use cqrs_core::store::{
    AppendError, CheckpointStore as _, ExpectedVersion, HandlerCommit, HandlerRecord, LeaseStore as _,
};
use cqrs_postgres::PostgresConfig;
use cqrs_postgres::testing::{Proxy, TestSchema};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ledger::Ledger;
use crate::support::{NEVER, append, append_at, config, config_at, durable, in_time, open};

/// The processes of the server that serve a store, stopped where they are.
struct Stopped(Vec<i32>);

impl Stopped {
    async fn of(schema: &TestSchema) -> Self {
        let serving = "select pid from pg_stat_activity where application_name = 'late'";
        let query = sqlx::query_scalar::<_, i32>(serving);
        let processes: Vec<i32> = query.fetch_all(&mut schema.connect().await.unwrap()).await.unwrap();
        processes.iter().for_each(|process| kill(Pid::from_raw(*process), Signal::SIGSTOP).unwrap());
        Self(processes)
    }

    /// Lets them go on, to their end.
    async fn finish(self, schema: &TestSchema) {
        self.0.iter().for_each(|process| kill(Pid::from_raw(*process), Signal::SIGCONT).unwrap());
        let mut connection = schema.connect().await.unwrap();
        let alive = "select exists (select from pg_stat_activity where pid = any($1))";
        let alive = || sqlx::query_scalar::<_, bool>(alive).bind(self.0.clone());
        in_time(async { while alive().fetch_one(&mut connection).await.unwrap() {} }).await;
    }
}

fn late(proxy: &Proxy, schema: &TestSchema) -> PostgresConfig {
    config_at(&format!("{}&application_name=late", proxy.url()), schema)
}

/// An append has reached the server, where it is not executed before its connection is lost. Sent again it is refused,
/// and executed late it could pass: nobody may be told that nothing was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_executed_late_is_not_refused() {
    let (_server, schema) = durable().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let (store, other) = (open(late(&proxy, &schema)).await, open(config(&schema)).await);
    let ledger = Ledger::default();
    ledger.append(&store, &append("first", 1)).await.unwrap();

    let processes = Stopped::of(&schema).await;
    let late = append_at("s", ExpectedVersion::StreamExists, 2);
    let sent = proxy.await_request("append_one");
    let cutting = async {
        sent.await;
        proxy.cut().await;
    };
    let (told, ()) = in_time(async { tokio::join!(ledger.append(&store, &late), cutting) }).await;
    assert!(matches!(told, Err(AppendError::OutcomeUnknown { .. })), "{told:?}");
    ledger.append(&other, &append_at("s", ExpectedVersion::NoStream, 1)).await.unwrap();
    processes.finish(&schema).await;
    ledger.prove(&schema, &other).await;
}

/// The same where the refusal is for good: it is told, and what is executed late is refused as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_executed_late_is_written_once() {
    let (_server, schema) = durable().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let (store, other) = (open(late(&proxy, &schema)).await, open(config(&schema)).await);
    let ledger = Ledger::default();
    ledger.append(&store, &append("s", 1)).await.unwrap();
    for (expected, other_first, conflict) in [
        (ExpectedVersion::Any, true, false),
        (ExpectedVersion::Exact(4), false, false),
        (ExpectedVersion::Exact(6), true, true),
    ] {
        let processes = Stopped::of(&schema).await;
        let late = append_at("s", expected, 2);
        let sent = proxy.await_request("append_one");
        let cutting = async {
            sent.await;
            if other_first {
                ledger.append(&other, &append("s", 1)).await.unwrap();
            }
            proxy.cut().await;
        };
        let (told, ()) = in_time(async { tokio::join!(ledger.append(&store, &late), cutting) }).await;
        assert_eq!(matches!(told, Err(AppendError::WrongExpectedVersion { .. })), conflict, "{told:?}");
        processes.finish(&schema).await;
    }
    ledger.prove(&schema, &other).await;
}

fn record(key: &str, data: &'static str) -> HandlerRecord {
    let data = Bytes::from_static(data.as_bytes());
    HandlerRecord { kind: "kind".into(), key: key.to_owned(), position: 1, due_at: None, data }
}

/// A commit of a handler has reached the server, where it is not executed before its connection is lost. It is written
/// by way of another one, and so is the next: executed late, the first would bring back what the next one has removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_a_commit_that_is_executed_late_changes_nothing() {
    let (_server, schema) = durable().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let (store, other) = (open(late(&proxy, &schema)).await, open(config(&schema)).await);
    let epoch = store.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap().unwrap();
    // Prepared, so that the next one is sent whole at once.
    store.commit("handler", epoch, HandlerCommit::new().put(record("kept", "0"))).await.unwrap();

    let processes = Stopped::of(&schema).await;
    let sent = proxy.await_request("removed-later");
    let cutting = async {
        sent.await;
        proxy.cut().await;
    };
    let put = HandlerCommit::new().position(1).put(record("removed-later", "1")).put(record("kept", "1"));
    let (written, ()) = in_time(async { tokio::join!(store.commit("handler", epoch, put), cutting) }).await;
    written.unwrap();
    let next = HandlerCommit::new().position(2).remove("kind", "removed-later").put(record("kept", "2"));
    store.commit("handler", epoch, next).await.unwrap();
    processes.finish(&schema).await;

    assert_eq!(other.records("handler", "kind", None, 10).await.unwrap(), [record("kept", "2")]);
    assert_eq!(other.checkpoint("handler").await.unwrap(), Some(2));
}
