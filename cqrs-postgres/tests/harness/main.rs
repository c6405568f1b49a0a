//! The harness itself: what it promises about servers, schemas, proxies and poolers.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod external;
mod poolers;
mod proxies;
mod schemas;
mod servers;
mod vanishing;

use sqlx::PgConnection;

async fn number(connection: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(connection).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}
