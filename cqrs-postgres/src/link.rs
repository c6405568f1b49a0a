use cqrs_core::store::{AppendError, Link, StoreError};
use sqlx::Row as _;

use crate::PostgresStore;
use crate::append::expectation;
use crate::error::store_error;
use crate::rows::{signed, unsigned};

impl PostgresStore {
    pub(crate) async fn link_events(&self, link: Link) -> Result<u64, AppendError> {
        let mut session = self.session().await?;
        let query = session.query(&self.shared.statements.link);
        let positions: Vec<i64> = link.positions.iter().copied().map(signed).collect();
        let query = query.bind(link.stream_id.as_str()).bind(expectation(link.expected)).bind(positions);
        let connection = session.open().await.map_err(store_error)?;
        let row = query.fetch_one(connection).await.map_err(store_error)?;
        session.finish().await.map_err(store_error)?;
        let status: i16 = row.try_get(0).map_err(store_error)?;
        let version = unsigned(row.try_get(1).map_err(store_error)?);
        let ordinal = row.try_get::<Option<i64>, _>(2).map_err(store_error)?.unwrap_or_default();
        let index = usize::try_from(ordinal - 1).unwrap_or_default();
        let position = link.positions.get(index).copied().unwrap_or_default();
        let stream_id = link.stream_id;
        let refuse = |reason| AppendError::InvalidLink { stream_id: stream_id.clone(), position, reason };
        match status {
            0 => Ok(version),
            1 => {
                Err(AppendError::WrongExpectedVersion { stream_id, expected: link.expected, actual: version })
            }
            2 => Err(AppendError::StreamDeleted { stream_id }),
            5 => Err(refuse("it holds no event")),
            6 => Err(refuse("the stream holds its event already")),
            7 => Err(refuse("it is named twice")),
            unknown => {
                Err(StoreError::Failed(format!("the database told an unknown status, {unknown}").into())
                    .into())
            }
        }
    }
}
