use std::collections::HashSet;

use cqrs_core::store::{EventStore as _, StoreError};
use cqrs_postgres::{ConnectError, Migrate, Payload, PostgresPool, PostgresStore, Schema, SchemaGone};
use sqlx::{AssertSqlSafe, Executor as _, Row as _};

use crate::support::{append, config, event, in_time, log, schema};

#[tokio::test]
async fn pg_107_a_schema_is_created_once_and_found_again() {
    let schema = schema().await;
    for expected in 1..=3 {
        let store = PostgresStore::connect(config(&schema)).await.unwrap();
        store.append(append("s", vec![event(expected)])).await.unwrap();
        assert_eq!(log(&store).await.len() as u64, expected);
    }
}

/// A schema's name is taken literally.
#[tokio::test]
async fn pg_062_schemas_with_odd_names_work() {
    let schema = schema().await;
    let pool = PostgresPool::connect(config(&schema)).await.unwrap();
    for odd in ["it's", "\"quoted\"", "A b-c", "select", "drop schema public;--", "東京"] {
        let name = format!("{odd}{}", &schema.name()[5..20]);
        let store = pool.store(name.as_str()).await.unwrap();
        store.append(append("s", vec![event(1)])).await.unwrap();
        store.append(append("s", vec![event(2), event(3)])).await.unwrap();
        assert_eq!(log(&store).await.len(), 3, "{name}");
        pool.drop_schema(name.as_str()).await.unwrap();
    }
}

#[tokio::test]
async fn pg_108_concurrent_starters_do_not_collide() {
    let schema = schema().await;
    let starts = (0..16).map(|_| PostgresStore::connect(config(&schema).connections(2)));
    let stores = in_time(futures_util::future::join_all(starts)).await;
    let identities: HashSet<_> = stores.into_iter().map(|store| store.unwrap().identity()).collect();
    assert_eq!(identities.len(), 1, "it is one store");
}

#[tokio::test]
async fn a_schema_that_is_missing_is_told() {
    let schema = schema().await;
    let verify = || config(&schema).schema(Schema::named(schema.name()).migrate(Migrate::Verify));
    let missing = PostgresStore::connect(verify()).await.unwrap_err();
    assert!(
        matches!(&missing, ConnectError::SchemaMissing { schema: name } if name == schema.name()),
        "{missing}"
    );
    PostgresStore::connect(config(&schema)).await.unwrap();
    PostgresStore::connect(verify()).await.unwrap();
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused() {
    let schema = schema().await;
    drop(PostgresStore::connect(config(&schema)).await.unwrap());
    let mut connection = schema.connect().await.unwrap();
    let newer = "insert into migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'later', true, '', 0)";
    connection.execute(newer).await.unwrap();
    for migrate in [Migrate::Automatic, Migrate::Verify] {
        let settings = Schema::named(schema.name()).migrate(migrate);
        let refused = PostgresStore::connect(config(&schema).schema(settings)).await.unwrap_err();
        assert!(matches!(refused, ConnectError::SchemaNewer { found: 9999, .. }), "{migrate:?}: {refused}");
    }
}

#[tokio::test]
async fn an_older_schema_is_brought_up_to_date_or_told() {
    let schema = schema().await;
    let pool = PostgresPool::connect(config(&schema)).await.unwrap();
    pool.migrate(schema.name()).await.unwrap();
    let mut connection = schema.connect().await.unwrap();
    let back = "delete from migrations where version >= 5; alter table subscriptions drop column last_commit; \
                drop table audit; alter table records alter column data type jsonb; \
                drop index events_correlation, events_causation; drop function correlated, first_caused";
    sqlx::raw_sql(back).execute(&mut connection).await.unwrap();
    let outdated = pool.verify(schema.name()).await.unwrap_err();
    assert!(matches!(outdated, ConnectError::SchemaOutdated { needed: 7, .. }), "{outdated}");
    pool.migrate(schema.name()).await.unwrap();
    pool.verify(schema.name()).await.unwrap();
}

#[tokio::test]
async fn a_schema_keeps_its_kind_of_payload() {
    let schema = schema().await;
    drop(PostgresStore::connect(config(&schema)).await.unwrap());
    let other = config(&schema).schema(Schema::named(schema.name()).payload(Payload::Bytea));
    let refused = PostgresStore::connect(other).await.unwrap_err();
    assert!(matches!(refused, ConnectError::SchemaDiffers { .. }), "{refused}");
}

#[tokio::test]
async fn a_failed_migration_leaves_nothing() {
    let schema = schema().await;
    let mut connection = schema.connect().await.unwrap();
    let name = format!("\"{}\"", schema.name());
    // The user has a table where one of ours is to be.
    let sql = format!("create schema {name}; create table {name}.appends (own text)");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    let failed = PostgresStore::connect(config(&schema)).await.unwrap_err();
    assert!(matches!(failed, ConnectError::Migration { .. }), "{failed}");
    let tables = "select count(*) from information_schema.tables where table_schema = $1";
    let row = sqlx::query(tables).bind(schema.name()).fetch_one(&mut connection).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 1, "the user's own table");
}

/// Migrating one schema leaves the others and the user's own migrations alone.
#[tokio::test]
async fn migrations_keep_to_their_schema() {
    let (first, second) = (schema().await, schema().await);
    let pool = PostgresPool::connect(config(&first)).await.unwrap();
    pool.migrate(first.name()).await.unwrap();
    let mut connection = first.connect().await.unwrap();
    connection.execute("create table _sqlx_migrations (own text)").await.unwrap();
    let applied = || async {
        let sql = format!("select installed_on::text from \"{}\".migrations order by 1", first.name());
        sqlx::query(AssertSqlSafe(sql)).fetch_all(pool.user_pool()).await.unwrap().len()
    };
    let before = applied().await;
    pool.migrate(second.name()).await.unwrap();
    pool.drop_schema(second.name()).await.unwrap();
    pool.drop_schema(second.name()).await.unwrap();
    assert_eq!(applied().await, before);
    assert!(matches!(pool.verify(second.name()).await, Err(ConnectError::SchemaMissing { .. })));
}

/// A role that may do nothing but use one schema is enough for everything but creating it.
#[tokio::test]
async fn pg_110_a_role_of_one_schema_suffices() {
    let schema = schema().await;
    let pool = PostgresPool::connect(config(&schema)).await.unwrap();
    pool.migrate(schema.name()).await.unwrap();
    let (name, role) = (format!("\"{}\"", schema.name()), format!("role_{}", schema.name()));
    let sql = format!(
        "create role {role} login; grant usage on schema {name} to {role}; \
         grant select, insert, update, delete on all tables in schema {name} to {role}; \
         grant usage on all sequences in schema {name} to {role}; \
         grant execute on all functions in schema {name} to {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool.user_pool()).await.unwrap();
    let options: sqlx::postgres::PgConnectOptions = schema.url().parse().unwrap();
    let limited = cqrs_postgres::PostgresConfig::from_options(options.username(&role)).schema(schema.name());
    let store = PostgresStore::connect(limited).await.unwrap();
    store.bind("bank").await.unwrap();
    store.append(append("s", vec![event(1)])).await.unwrap();
    assert_eq!(log(&store).await.len(), 1);
    drop(store);
    let sql = format!("drop owned by {role}; drop role {role}");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(pool.user_pool()).await.unwrap();
}

/// A schema that is dropped under a store is told as what it is, and the store goes on when it is back.
#[tokio::test]
async fn pg_018_a_dropped_schema_fails_typed_and_recovers() {
    let schema = schema().await;
    let store = PostgresStore::connect(config(&schema)).await.unwrap();
    store.append(append("s", vec![event(1)])).await.unwrap();
    store.pool().drop_schema(schema.name()).await.unwrap();
    let failed = store.append(append("s", vec![event(2)])).await.unwrap_err();
    match &failed {
        cqrs_core::store::AppendError::Store(StoreError::Unavailable(source)) => {
            assert!(source.downcast_ref::<SchemaGone>().is_some(), "{source}");
        }
        other => panic!("expected a missing schema, found {other:?}"),
    }
    assert!(matches!(store.head().await, Err(StoreError::Unavailable(_))));
    store.pool().migrate(schema.name()).await.unwrap();
    store.append(append("s", vec![event(3)])).await.unwrap();
    assert_eq!(log(&store).await.len(), 1);
}

#[tokio::test]
async fn pg_106_what_cannot_be_connected_to_is_told() {
    let schema = schema().await;
    let invalid = PostgresStore::connect(cqrs_postgres::PostgresConfig::new("not a url")).await.unwrap_err();
    assert!(matches!(invalid, ConnectError::InvalidUrl(_)), "{invalid}");
    let named = PostgresStore::connect(config(&schema).schema("pg_mine")).await.unwrap_err();
    assert!(matches!(named, ConnectError::InvalidSchema { .. }), "{named}");
    let refused = cqrs_postgres::PostgresConfig::new("postgres://nobody@127.0.0.1:1/none");
    let down = PostgresStore::connect(refused).await.unwrap_err();
    assert!(matches!(down, ConnectError::Database(_)), "{down}");
}
