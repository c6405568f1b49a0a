use std::time::Duration;

use bytes::Bytes;
use cqrs_core::event::Metadata;
use cqrs_core::id::{CausationId, CommandId, CorrelationId, EventId};
use cqrs_core::store::{
    Append, EventData, EventFilter, EventStore as _, ExpectedVersion, RecordedEvent, StreamId,
};
use cqrs_postgres::testing::{PgBouncer, TestSchema, TestServer};
use cqrs_postgres::{PostgresConfig, PostgresStore, Schema};
use tokio::sync::OnceCell;

/// How long a test waits for what must happen: far longer than it takes.
const LIMIT: Duration = Duration::from_secs(60);

/// A schema of the shared server, for one test.
pub(crate) async fn schema() -> TestSchema {
    TestSchema::new(TestServer::shared().await.unwrap())
}

/// How a schema is reached by a test: with few connections, since many tests run at once.
pub(crate) fn config(schema: &TestSchema) -> PostgresConfig {
    PostgresConfig::new(schema.url()).schema(schema.name()).connections(4).user_connections(2)
}

/// An empty store in a schema.
pub(crate) async fn store(schema: &TestSchema) -> PostgresStore {
    PostgresStore::connect(config(schema)).await.unwrap()
}

/// An empty store, configured, in a schema that lasts as long as the server.
pub(crate) async fn fresh(configure: impl FnOnce(Schema) -> Schema) -> PostgresStore {
    let schema = Box::leak(Box::new(schema().await));
    let config = config(schema).schema(configure(Schema::named(schema.name())));
    PostgresStore::connect(config).await.unwrap()
}

/// The same, by way of a pooler in transaction mode.
pub(crate) async fn fresh_pooled(configure: impl FnOnce(Schema) -> Schema) -> PostgresStore {
    let schema = Box::leak(Box::new(schema().await));
    let config = PostgresConfig::new(pooler().await.url())
        .schema(configure(Schema::named(schema.name())))
        .transaction_pooler(true)
        .poll_interval(Duration::from_millis(50))
        .connections(4)
        .user_connections(2);
    PostgresStore::connect(config).await.unwrap()
}

/// The pooler that all tests share.
pub(crate) async fn pooler() -> &'static PgBouncer {
    static POOLER: OnceCell<PgBouncer> = OnceCell::const_new();
    let server = TestServer::shared().await.unwrap();
    POOLER.get_or_init(|| async { PgBouncer::start(server.url()).await.unwrap() }).await
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

pub(crate) fn event(number: u64) -> EventData {
    event_with(format!("{{\"number\":{number}}}"))
}

pub(crate) fn event_with(data: impl Into<Bytes>) -> EventData {
    EventData {
        event_id: EventId::new(),
        event_type: "Counted".into(),
        schema_version: 1,
        data: data.into(),
        metadata: Metadata::new(),
        causation_id: CausationId::new(),
        correlation_id: CorrelationId::new(),
    }
}

/// An append of events to a stream, whatever its version.
pub(crate) fn append(name: &str, events: Vec<EventData>) -> Append {
    Append::to_stream(CommandId::new(), stream(name), ExpectedVersion::Any, events)
}

/// The whole log.
pub(crate) async fn log(store: &PostgresStore) -> Vec<RecordedEvent> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let page = store.read_log(after, &EventFilter::all(), 1_000).await.unwrap();
        if page.read_to <= after {
            return all;
        }
        after = page.read_to;
        all.extend(page.events);
    }
}

/// That the log has no hole, and every stream the versions 1, 2, 3, ...
#[track_caller]
pub(crate) fn assert_gapless(log: &[RecordedEvent]) {
    let mut versions = std::collections::HashMap::new();
    for (position, event) in (1..).zip(log) {
        assert_eq!(event.position, position, "positions have no hole");
        let version = versions.entry(event.stream_id.clone()).or_insert(0);
        *version += 1;
        assert_eq!(event.stream_version, *version, "versions of {} have no hole", event.stream_id);
    }
}

/// What `work` gives, which must not take for ever.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("it takes far less than the limit")
}
