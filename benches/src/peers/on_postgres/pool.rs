//! The connections of peers that leave the pool to their users.

use sqlx_0_8::PgPool;
use sqlx_0_8::postgres::{PgConnectOptions, PgPoolOptions};

use crate::point::BoxError;
use crate::postgres::Database;

/// As many connections as the statements by hand have, which are not tested before each use: more than what
/// sqlx does by default, 10 connections that are tested, and faster.
pub(super) async fn pool(database: &Database) -> Result<PgPool, BoxError> {
    Ok(options().connect(database.url().as_str()).await?)
}

/// Such a pool with connections of another kind.
pub(super) async fn pool_with(options_of_each: PgConnectOptions) -> Result<PgPool, BoxError> {
    Ok(options().connect_with(options_of_each).await?)
}

fn options() -> PgPoolOptions {
    PgPoolOptions::new().max_connections(16).test_before_acquire(false)
}
