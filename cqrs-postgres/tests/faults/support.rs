use std::path::Path;
use std::time::Duration;

use cqrs_core::event::Metadata;
use cqrs_core::id::{CausationId, CommandId, CorrelationId, EventId};
use cqrs_core::store::{Append, EventData, ExpectedVersion, StreamId};
use cqrs_postgres::testing::{TestSchema, TestServer};
use cqrs_postgres::{PostgresConfig, PostgresStore};
use sqlx::AssertSqlSafe;

/// How long a test waits for what must happen: far longer than it takes.
const LIMIT: Duration = Duration::from_secs(60);

/// So long that no test lasts until then.
pub(crate) const NEVER: Duration = Duration::from_secs(3_600);

/// A schema of the server that is shared by the tests that leave it in one piece.
pub(crate) async fn shared() -> TestSchema {
    TestSchema::new(TestServer::shared().await.unwrap())
}

/// A server to break, which waits for its disk as in production. The disk is memory where there is one: what is killed
/// here are processes, and twenty recoveries on a busy disk take minutes.
pub(crate) async fn durable() -> (TestServer, TestSchema) {
    let builder = TestServer::builder().durable();
    let memory = Path::new("/dev/shm");
    let builder = if memory.is_dir() { builder.data_on(memory) } else { builder };
    let server = builder.start().await.unwrap();
    let schema = TestSchema::new(&server);
    (server, schema)
}

pub(crate) fn config(schema: &TestSchema) -> PostgresConfig {
    config_at(schema.url(), schema)
}

/// How a schema is reached by way of a proxy or a pooler.
pub(crate) fn config_at(url: &str, schema: &TestSchema) -> PostgresConfig {
    PostgresConfig::new(url).schema(schema.name()).connections(4).user_connections(2)
}

pub(crate) async fn open(config: PostgresConfig) -> PostgresStore {
    PostgresStore::connect(config).await.unwrap()
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub(crate) fn events(count: u64) -> Vec<EventData> {
    (0..count).map(event).collect()
}

pub(crate) fn event(number: u64) -> EventData {
    EventData {
        event_id: EventId::new(),
        event_type: "Counted".into(),
        schema_version: 1,
        data: format!("{{\"number\":{number}}}").into(),
        metadata: Metadata::new(),
        causation_id: CausationId::new(),
        correlation_id: CorrelationId::new(),
    }
}

/// An append of some events to a stream, whatever its version.
pub(crate) fn append(name: &str, count: u64) -> Append {
    append_at(name, ExpectedVersion::Any, count)
}

pub(crate) fn append_at(name: &str, expected: ExpectedVersion, count: u64) -> Append {
    Append::to_stream(CommandId::new(), stream(name), expected, events(count))
}

/// Runs SQL in a schema, as somebody who passes the store by.
pub(crate) async fn sql(schema: &TestSchema, text: &str) {
    let mut connection = schema.connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
}

/// What work gives, which must not take for ever.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("it takes far less than the limit")
}
