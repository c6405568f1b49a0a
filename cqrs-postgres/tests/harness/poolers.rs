use cqrs_postgres::testing::{HarnessError, PgBouncer, TestServer};
use sqlx::{Connection, PgConnection};

use crate::run;

async fn bouncer() -> PgBouncer {
    let url = TestServer::shared().await.unwrap().url();
    PgBouncer::start_with(url, [("default_pool_size", "1")]).await.unwrap()
}

async fn connect(bouncer: &PgBouncer) -> PgConnection {
    PgConnection::connect(bouncer.url()).await.unwrap()
}

/// The process of the server that this connection's next statement would have. The pooler knows no prepared
/// statements.
async fn backend(connection: &mut PgConnection) -> i32 {
    use sqlx::Row;

    let row = sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await.unwrap();
    row.try_get_unchecked::<String, _>(0).unwrap().parse().unwrap()
}

#[tokio::test]
async fn clients_share_a_connection_between_transactions() {
    let bouncer = bouncer().await;
    let (mut one, mut other) = (connect(&bouncer).await, connect(&bouncer).await);
    assert_eq!(backend(&mut one).await, backend(&mut other).await);
    let mut transaction = one.begin().await.unwrap();
    run(&mut transaction, "SELECT 1").await;
    transaction.commit().await.unwrap();
    run(&mut other, "SELECT 1").await;
}

#[tokio::test]
async fn a_wrong_setting_of_a_pooler_is_told_with_the_reason() {
    let server = TestServer::shared().await.unwrap();
    let error = PgBouncer::start_with(server.url(), [("pool_mode", "sometimes")]).await.unwrap_err();
    assert!(matches!(&error, HarnessError::Failed { program: "pgbouncer", .. }), "{error}");
    assert!(error.to_string().contains("pool_mode"), "{error}");
}

#[tokio::test]
async fn a_dropped_pooler_takes_no_connections() {
    let bouncer = bouncer().await;
    let url = bouncer.url().to_owned();
    drop(bouncer);
    PgConnection::connect(&url).await.unwrap_err();
}
