use cqrs_postgres::testing::{TestSchema, TestServer};
use cqrs_postgres::{PostgresConfig, PostgresStore, Schema};

/// A schema of the shared server, for one test.
pub(crate) async fn schema() -> TestSchema {
    TestSchema::new(TestServer::shared().await.unwrap())
}

/// How a schema is reached by a test: with few connections, since many tests run at once.
pub(crate) fn config(schema: &TestSchema) -> PostgresConfig {
    PostgresConfig::new(schema.url()).schema(schema.name()).connections(4).user_connections(2)
}

/// An empty store, configured, in a schema of its own, which is dropped some time after the test.
pub(crate) async fn fresh(configure: impl FnOnce(Schema) -> Schema) -> PostgresStore {
    let schema = Box::leak(Box::new(schema().await));
    let config = config(schema).schema(configure(Schema::named(schema.name())));
    PostgresStore::connect(config).await.unwrap()
}
