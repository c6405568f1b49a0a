use cqrs_core::store::{AppendError, Deletion, ExpectedVersion, StoreError, StreamId};
use sqlx::Row as _;

use crate::PostgresStore;
use crate::append::expectation;
use crate::error::store_error;
use crate::rows::unsigned;

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
        let mut session = self.session().await?;
        let query = session.query(&self.shared.statements.delete);
        let query = query.bind(stream_id.as_str()).bind(expectation(expected)).bind(hard);
        let connection = session.open().await.map_err(store_error)?;
        let row = query.fetch_one(connection).await.map_err(store_error)?;
        session.finish().await.map_err(store_error)?;
        let stream_id = stream_id.clone();
        match row.try_get::<i16, _>(0).map_err(store_error)? {
            0 => Ok(()),
            1 => {
                let actual = unsigned(row.try_get(1).map_err(store_error)?);
                Err(AppendError::WrongExpectedVersion { stream_id, expected, actual })
            }
            2 => Err(AppendError::StreamDeleted { stream_id }),
            8 => Err(AppendError::StreamNotFound { stream_id }),
            unknown => {
                Err(StoreError::Failed(format!("the database told an unknown status, {unknown}").into())
                    .into())
            }
        }
    }
}
