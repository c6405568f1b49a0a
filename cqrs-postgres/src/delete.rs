use cqrs_core::store::{AppendError, Deletion, ExpectedVersion, StoreError, StreamId};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::PostgresStore;
use crate::append::expectation;
use crate::change::{Twice, unknown};
use crate::error::may_pass_later;
use crate::rows::unsigned;
use crate::session::Query;

impl PostgresStore {
    pub(crate) async fn delete(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        let hard = match deletion {
            Deletion::Soft => false,
            Deletion::Hard if self.shared.schema.allow_hard_deletion => true,
            _ => return Err(AppendError::DeletionNotAllowed { stream_id: stream_id.clone(), deletion }),
        };
        let name = stream_id.as_str().to_owned();
        let bind = |query: Query<'static>| query.bind(name.clone()).bind(expectation(expected)).bind(hard);
        let answer = |row: &PgRow| Ok((row.try_get(0)?, unsigned(row.try_get(1)?)));
        // A stream of that name may have been begun anew before the second time.
        let twice = match expected {
            ExpectedVersion::Exact(_) => Twice::Harmless,
            _ if hard => Twice::Harmful,
            _ => Twice::Harmless,
        };
        let changed = self.change(&self.shared.statements.delete, twice, bind, answer).await?;
        let (status, actual): (i16, u64) = changed.told;
        let stream_id = stream_id.clone();
        match status {
            0 => Ok(()),
            // This call has done it before its answer was lost.
            2 if !hard && changed.was_lost => Ok(()),
            8 if hard && changed.was_lost && self.was_erased(&name).await? => Ok(()),
            1 => {
                let error = AppendError::WrongExpectedVersion { stream_id, expected, actual };
                Err(if changed.was_lost && may_pass_later(&error) { unknown(error) } else { error })
            }
            2 => Err(AppendError::StreamDeleted { stream_id }),
            8 => Err(AppendError::StreamNotFound { stream_id }),
            unknown => {
                Err(StoreError::Failed(format!("the database told an unknown status, {unknown}").into())
                    .into())
            }
        }
    }

    /// Whether there was a stream of this name that was deleted for good.
    async fn was_erased(&self, name: &str) -> Result<bool, AppendError> {
        let sql = &self.shared.statements.was_erased;
        let was_erased = self.ask_one(sql, |query| query.bind(name.to_owned()), |row| row.try_get(0)).await;
        Ok(was_erased.map_err(unknown)?.unwrap_or_default())
    }
}
