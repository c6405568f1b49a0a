use cqrs_core::store::{AppendError, ExpectedVersion, Link, StoreError};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::PostgresStore;
use crate::append::expectation;
use crate::change::{Twice, unknown};
use crate::error::{may_pass_later, store_error};
use crate::rows::{signed, unsigned};
use crate::session::Query;

impl PostgresStore {
    pub(crate) async fn link_events(&self, link: Link) -> Result<u64, AppendError> {
        let positions: Vec<i64> = link.positions.iter().copied().map(signed).collect();
        let bind = |query: Query<'static>| {
            let query = query.bind(link.stream_id.as_str().to_owned()).bind(expectation(link.expected));
            query.bind(positions.clone())
        };
        let answer = |row: &PgRow| {
            let ordinal = row.try_get::<Option<i64>, _>(2)?.unwrap_or_default();
            Ok((row.try_get(0)?, unsigned(row.try_get(1)?), ordinal))
        };
        let changed = self.change(&self.shared.statements.link, Twice::Harmless, bind, answer).await?;
        let (status, version, ordinal): (i16, u64, i64) = changed.told;
        if status != 0
            && changed.was_lost
            && let Some(version) = self.linked_already(&link, &positions).await?
        {
            return Ok(version);
        }
        let refused = told(link, status, version, ordinal);
        match refused {
            Err(error) if changed.was_lost && may_pass_later(&error) => Err(unknown(error)),
            refused => refused,
        }
    }

    /// The version of the last link, if all are there as they would be if this call had made them.
    async fn linked_already(&self, link: &Link, positions: &[i64]) -> Result<Option<u64>, AppendError> {
        let bind =
            |query: Query<'static>| query.bind(link.stream_id.as_str().to_owned()).bind(positions.to_vec());
        let places: Vec<i64> = self
            .ask(&self.shared.statements.linked_places, bind, |places: &mut Vec<i64>, row| {
                places.push(row.try_get(0).map_err(store_error)?);
                Ok(false)
            })
            .await
            .map_err(unknown)?;
        let (Some(first), Some(last)) = (places.first().copied(), places.last().copied()) else {
            return Ok(None);
        };
        let are_all = places.len() == positions.len() && (first..=last).eq(places);
        let follow = match link.expected {
            ExpectedVersion::Any | ExpectedVersion::StreamExists => true,
            expected => expected.allows(unsigned(first - 1)),
        };
        Ok((are_all && follow).then_some(unsigned(last)))
    }
}

fn told(link: Link, status: i16, version: u64, ordinal: i64) -> Result<u64, AppendError> {
    let index = usize::try_from(ordinal - 1).unwrap_or_default();
    let position = link.positions.get(index).copied().unwrap_or_default();
    let stream_id = link.stream_id;
    let refuse = |reason| AppendError::InvalidLink { stream_id: stream_id.clone(), position, reason };
    match status {
        0 => Ok(version),
        1 => Err(AppendError::WrongExpectedVersion { stream_id, expected: link.expected, actual: version }),
        2 => Err(AppendError::StreamDeleted { stream_id }),
        5 => Err(refuse("it holds no event")),
        6 => Err(refuse("the stream holds its event already")),
        7 => Err(refuse("it is named twice")),
        unknown => {
            Err(StoreError::Failed(format!("the database told an unknown status, {unknown}").into()).into())
        }
    }
}
