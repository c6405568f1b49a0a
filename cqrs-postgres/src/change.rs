use std::sync::Arc;

use cqrs_core::id::CommandId;
use cqrs_core::store::{AppendError, StoreError};
use sqlx::postgres::PgRow;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{Fault, store_error};
use crate::read::{Ask, Failure};
use crate::retry::{ATTEMPTS, pause};

/// What the database told of a change that has no id.
pub(crate) struct Changed<T> {
    pub(crate) told: T,
    /// Whether an answer was missing before: the change may have been made already by this very call.
    pub(crate) was_lost: bool,
}

/// What it would do to make a change a second time, when the answer to the first is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Twice {
    /// Nothing, or what was to be done.
    Harmless,
    /// It could hit what others have made meanwhile.
    Harmful,
}

impl PostgresStore {
    /// Makes a change that has no id; where it is harmless, tries again until there is an answer.
    pub(crate) async fn change<T: Default + Send>(
        &self,
        sql: &Arc<str>,
        twice: Twice,
        bind: impl Ask,
        take: impl Fn(&PgRow) -> Result<T, sqlx::Error> + Send + Sync,
    ) -> Result<Changed<T>, AppendError> {
        let pool = &self.shared.pool;
        let take = |told: &mut T, row: &PgRow| {
            *told = take(row).map_err(store_error)?;
            Ok(true)
        };
        let mut open: Option<Instant> = None;
        for attempt in 1.. {
            let is_first = attempt == 1 && twice == Twice::Harmless;
            let session = if is_first { pool.session().await } else { pool.live_session().await };
            let failure = match session {
                Ok(session) => match pool.ask_once(session, sql, &bind, &take).await {
                    Ok(told) => return Ok(Changed { told, was_lost: open.is_some() }),
                    Err(Failure::Row(error)) => return Err(error.into()),
                    // That it took too long on this side says nothing about the other one.
                    Err(Failure::Sql(sqlx::Error::PoolTimedOut)) => sqlx::Error::WorkerCrashed,
                    Err(Failure::Sql(error)) => error,
                },
                Err(error) if open.is_none() => return Err(store_error(error).into()),
                Err(error) => error,
            };
            match (Fault::of(&failure), open) {
                (Fault::Lost, None) if twice == Twice::Harmful => return Err(unknown(failure)),
                (Fault::Lost, None) => open = Some(Instant::now()),
                (Fault::Transient, _) if attempt < ATTEMPTS => {}
                (_, None) => return Err(store_error(failure).into()),
                (_, Some(since)) if since.elapsed() >= pool.config().settle_timeout => {
                    return Err(unknown(failure));
                }
                (_, Some(_)) => {}
            }
            sleep(pause(attempt)).await;
        }
        Err(StoreError::Unavailable("the change was not tried".into()).into())
    }
}

/// It was not found out whether the change was made.
pub(crate) fn unknown(error: impl Into<cqrs_core::BoxError>) -> AppendError {
    // A change that is no append has no id.
    AppendError::OutcomeUnknown { append_id: CommandId::from(Uuid::nil()), source: error.into() }
}
