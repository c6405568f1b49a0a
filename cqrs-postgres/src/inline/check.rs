use cqrs_core::store::{InlineRowsError, StoreError};
use sqlx::{PgConnection, Row as _};

use crate::error::store_error;
use crate::{PostgresRows, PostgresStore};

/// Takes the lock of a number until the transaction ends; tells whether it was free.
const LOCK: &str = "select pg_try_advisory_xact_lock($1)";

/// That rows lie in the database of the log: a lock that one connection holds is not free for the other. No right is needed
/// for that, and it tells a copy of the database from the database.
pub(super) async fn check(store: &PostgresStore, rows: &PostgresRows) -> Result<(), InlineRowsError> {
    let number = i64::from_ne_bytes(fastrand::u64(..).to_ne_bytes());
    let mut session = store.shared.pool.session().await.map_err(store_error)?;
    let held = lock(session.begin().await.map_err(store_error)?, number).await?;
    let mut transaction = rows.pool().begin().await.map_err(store_error)?;
    let is_free = lock(&mut transaction, number).await?;
    transaction.rollback().await.map_err(store_error)?;
    session.undo().await.map_err(store_error)?;
    match held && !is_free {
        true => Ok(()),
        false => Err(InlineRowsError::OtherDatabase),
    }
}

async fn lock(connection: &mut PgConnection, number: i64) -> Result<bool, StoreError> {
    let row = sqlx::query(LOCK).bind(number).persistent(false).fetch_one(connection).await;
    row.and_then(|row| row.try_get(0)).map_err(store_error)
}
