use cqrs_core::id::CommandId;
use cqrs_core::store::{Append, EventStore as _, ExpectedVersion, StreamWrite};
use cqrs_postgres::testing::{Proxy, TestSchema};
use cqrs_postgres::{PostgresConfig, PostgresStore, PostgresTransaction};
use nix::sys::signal::Signal;
use uuid::Uuid;

use crate::children::{ChildProcess, hear, tell};
use crate::ledger::Ledger;
use crate::support::{NEVER, append_at, config, durable, in_time, open};

/// The appends that the parent and its child both know: `Append` number so and so, each of three events.
fn numbered(number: u64) -> Append {
    let mut append = append_at("s", ExpectedVersion::Exact(3 * number), 3);
    let id = |of: u64| Uuid::from_u128(u128::from(number) << 64 | u128::from(of) << 8 | 1);
    append.id = CommandId::from(id(0));
    if let StreamWrite::Events { events, .. } = &mut append.writes[0] {
        for (of, event) in (1..).zip(events) {
            event.event_id = id(of).into();
        }
    }
    append
}

/// The child: makes the appends that it is told to, and tells when they are answered.
pub(crate) async fn write(url: &str, schema: &str) {
    let store = PostgresStore::connect(PostgresConfig::new(url).schema(schema)).await.unwrap();
    while let Some(number) = hear().await {
        store.append(numbered(number.parse().unwrap())).await.unwrap();
        tell(&number);
    }
}

/// A process is killed after its append was committed, and before it was told (H11).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_115_a_process_killed_between_commit_and_answer() {
    let (_server, schema) = durable().await;
    let store = open(config(&schema)).await;
    let mut head = store.watch_head();
    let ledger = Ledger::default();
    let mut number = 0;
    for _ in 0..3 {
        let proxy = Proxy::start(schema.url()).await.unwrap();
        let mut child = ChildProcess::start("writer", proxy.url(), schema.name());
        for answered in number..number + 5 {
            child.tell(&answered.to_string()).await;
            assert_eq!(child.hear().await, answered.to_string());
        }
        // The next one is held at the server until its answer cannot get through.
        number += 5;
        let holder = hold(&store).await;
        child.tell(&number.to_string()).await;
        await_waiting(&schema).await;
        proxy.delay_answers(NEVER);
        holder.rollback().await.unwrap();
        number += 1;
        in_time(head.wait_for(|position| *position == 3 * number)).await.unwrap();
        child.send(Signal::SIGKILL);
        child.end().await;
    }
    for number in 0..number {
        ledger.leave_open(&numbered(number));
        let known = store.outcome(numbered(number).id).await.unwrap().unwrap();
        assert_eq!((known.position, known.repeated), (3 * (number + 1), true));
    }
    ledger.prove(&schema, &store).await;
    assert_eq!(ledger.written(), number);
}

/// A transaction that holds the log.
async fn hold(store: &PostgresStore) -> PostgresTransaction {
    let mut holder = store.begin().await.unwrap();
    holder.append(append_at("held", ExpectedVersion::NoStream, 1)).await.unwrap();
    holder
}

/// Waits until somebody waits for the log.
async fn await_waiting(schema: &TestSchema) {
    let mut watcher = schema.connect().await.unwrap();
    let waits = "select exists (select from pg_locks where locktype = 'advisory' and not granted)";
    in_time(async { while !sqlx::query_scalar::<_, bool>(waits).fetch_one(&mut watcher).await.unwrap() {} })
        .await;
}

/// A process is killed while its append waits for the log: nothing of it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_115_a_process_killed_before_the_commit() {
    let (_server, schema) = durable().await;
    let store = open(config(&schema)).await;
    let ledger = Ledger::default();
    let holder = hold(&store).await;
    let mut child = ChildProcess::start("writer", schema.url(), schema.name());
    child.tell("0").await;
    await_waiting(&schema).await;
    child.send(Signal::SIGKILL);
    child.end().await;
    holder.rollback().await.unwrap();
    // The backend that waited may write it still: nobody knows, until somebody asks under its id.
    ledger.leave_open(&numbered(0));
    ledger.prove(&schema, &store).await;
}
