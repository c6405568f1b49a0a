//! The conformance suite of rows, wherever they lie: beside the log, in another database, behind a pooler.

use std::collections::BTreeMap;
use std::time::Duration;

use cqrs_core::projection::{RowPlace, RowStore as _, RowTransaction as _};
use cqrs_core::store::HandlerCommit;
use cqrs_core::testing::conformance::TestRows;
use cqrs_postgres::testing::{TestDatabase, TestServer};
use cqrs_postgres::{BulkRows, BulkWriter, PostgresRows, PostgresStore};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use tokio::time::timeout;

mod beside {
    cqrs_core::row_conformance!(|| async {
        crate::rows::Tables::beside(&crate::support::fresh(|schema| schema).await)
    });
}

mod elsewhere {
    cqrs_core::row_conformance!(|| async { crate::rows::Tables::elsewhere().await });
}

/// `pg_126`, H5
mod pg_126_pooled {
    cqrs_core::row_conformance!(|| async {
        crate::rows::Tables::beside(&crate::support::fresh_pooled(|schema| schema).await)
    });
}

mod in_bulk {
    cqrs_core::row_conformance!(|| async {
        crate::rows::Gathered::of(crate::rows::Tables::beside(&crate::support::fresh(|schema| schema).await))
    });
}

mod in_bulk_pooled {
    cqrs_core::row_conformance!(|| async {
        let store = crate::support::fresh_pooled(|schema| schema).await;
        crate::rows::Gathered::of(crate::rows::Tables::beside(&store))
    });
}

/// A table in each generation.
struct Tables(PostgresRows);

impl Tables {
    fn beside(store: &PostgresStore) -> Self {
        Self(PostgresRows::beside(store))
    }

    async fn elsewhere() -> Self {
        let database = TestDatabase::new(TestServer::shared().await.unwrap()).await.unwrap();
        let database = Box::leak(Box::new(database));
        Self(PostgresRows::new(PgPool::connect(database.url()).await.unwrap(), "Views"))
    }
}

impl TestRows for Tables {
    type Store = PostgresRows;

    fn store(&self, _projection: &str) -> PostgresRows {
        self.0.clone()
    }

    async fn create(&self, connection: &mut PgConnection) {
        let create = "create table facts (key text primary key, value text not null)";
        sqlx::raw_sql(create).execute(connection).await.unwrap();
    }

    async fn put(&self, connection: &mut PgConnection, key: &str, value: &str) {
        let put = "insert into facts (key, value) values ($1, $2) \
             on conflict (key) do update set value = excluded.value";
        sqlx::query(put).persistent(false).bind(key).bind(value).execute(connection).await.unwrap();
    }

    async fn written(&self, connection: &mut PgConnection) -> BTreeMap<String, String> {
        let rows: Vec<_> = sqlx::query_as("select key, value from facts")
            .persistent(false)
            .fetch_all(connection)
            .await
            .unwrap();
        rows.into_iter().collect()
    }

    async fn read(&self, projection: &str) -> BTreeMap<String, String> {
        let sql = format!("select key, value from \"{}\".facts", self.0.schema_of(projection));
        // In a transaction, for the sake of the pooler.
        let mut transaction = self.0.pool().begin().await.unwrap();
        match sqlx::query_as(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *transaction).await {
            Ok(rows) => rows.into_iter().collect(),
            Err(sqlx::Error::Database(told)) if told.code().as_deref() == Some("42P01") => BTreeMap::new(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The same, with rows that are written many at a time.
struct Gathered {
    tables: Tables,
    rows: BulkRows,
}

impl Gathered {
    fn of(tables: Tables) -> Self {
        Self { rows: tables.0.clone().bulk(), tables }
    }
}

impl TestRows for Gathered {
    type Store = BulkRows;

    fn store(&self, _projection: &str) -> BulkRows {
        self.rows.clone()
    }

    async fn create(&self, writer: &mut BulkWriter) {
        self.tables.create(writer.connection().await.unwrap()).await;
    }

    async fn put(&self, writer: &mut BulkWriter, key: &str, value: &str) {
        let put = "insert into facts select distinct on (key) key, value \
             from unnest($1::text[], $2::text[]) with ordinality r(key, value, place) order by key, place desc \
             on conflict (key) do update set value = excluded.value";
        writer.write(put, (key.to_owned(), value.to_owned())).await.unwrap();
    }

    async fn written(&self, writer: &mut BulkWriter) -> BTreeMap<String, String> {
        self.tables.written(writer.connection().await.unwrap()).await
    }

    async fn read(&self, projection: &str) -> BTreeMap<String, String> {
        self.tables.read(projection).await
    }
}

/// D11: a statement on which user code has given up is ended, and holds up nobody who wants to write the same rows.
async fn check_given_up(store: PostgresStore) {
    let tables = Tables::beside(&store);
    let rows = &tables.0;
    let generation = rows.add("given_up", 1, "log").await.unwrap();
    let place = RowPlace { projection: "given_up".into(), generation, epoch: 1 };
    rows.claim(&place).await.unwrap();
    let mut making = rows.make(&place).await.unwrap();
    tables.create(making.connection()).await;
    making.commit(0, HandlerCommit::new().position(0)).await.unwrap();
    let mut given_up = rows.begin(&place).await.unwrap();
    tables.put(given_up.connection(), "a", "lost").await;
    let mut sleeping = Box::pin(sqlx::raw_sql("select pg_sleep(3600)").execute(given_up.connection()));
    assert!(timeout(Duration::from_millis(100), &mut sleeping).await.is_err());
    drop(sleeping);
    within(given_up.roll_back()).await.unwrap();
    let mut next = rows.begin(&place).await.unwrap();
    within(tables.put(next.connection(), "a", "kept")).await;
    next.commit(0, HandlerCommit::new().position(1)).await.unwrap();
    let mut looking = rows.begin(&place).await.unwrap();
    let written = tables.written(looking.connection()).await;
    assert_eq!(written, BTreeMap::from([("a".to_owned(), "kept".to_owned())]));
}

async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), work).await.expect("nothing holds it up")
}

#[tokio::test]
async fn a_statement_that_was_given_up_holds_up_nobody() {
    check_given_up(crate::support::fresh(|schema| schema).await).await;
}

#[tokio::test]
async fn a_statement_that_was_given_up_holds_up_nobody_behind_a_pooler() {
    check_given_up(crate::support::fresh_pooled(|schema| schema).await).await;
}
