use cqrs_core::store::{AppendError, ExpectedVersion};
use cqrs_postgres::PostgresConfig;
use cqrs_postgres::testing::{Proxy, TestSchema};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ledger::Ledger;
use crate::support::{append, append_at, config, config_at, durable, in_time, open};

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
