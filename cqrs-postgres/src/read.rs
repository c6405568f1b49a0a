use std::sync::Arc;

use cqrs_core::id::CausationId;
use cqrs_core::store::{Direction, RecordedEvent, StoreError, StreamId, StreamInfo};
use futures_util::TryStreamExt as _;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::error::{Fault, store_error};
use crate::rows::{self, BEHIND_EVENT, Time, signed, unsigned};
use crate::session::{Query, Session};
use crate::{PostgresPool, PostgresStore};

/// A statement that changes nothing, or may be made twice, with its arguments.
pub(crate) trait Ask: Fn(Query<'static>) -> Query<'static> + Send + Sync {}

impl<F: Fn(Query<'static>) -> Query<'static> + Send + Sync> Ask for F {}

impl PostgresPool {
    /// Asks the database for rows, `take` them one by one until it has enough. The answer is read to its end all the
    /// same: a statement that changes something may tell its rows, and fail when it is committed.
    ///
    /// A connection that broke while it was idle is noticed here only: the question is asked once more then.
    pub(crate) async fn ask<T: Default + Send>(
        &self,
        sql: &Arc<str>,
        bind: impl Ask,
        take: impl Fn(&mut T, &PgRow) -> Result<bool, StoreError> + Send + Sync,
    ) -> Result<T, StoreError> {
        let session = self.session().await.map_err(store_error)?;
        match self.ask_once(session, sql, &bind, &take).await {
            Err(Failure::Sql(error)) if matches!(Fault::of(&error), Fault::Lost | Fault::Transient) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "asking the database again");
                let session = self.live_session().await.map_err(store_error)?;
                self.ask_once(session, sql, &bind, &take).await
            }
            other => other,
        }
        .map_err(|failure| match failure {
            Failure::Sql(error) => store_error(error),
            Failure::Row(error) => error,
        })
    }

    /// Asks once, on this connection, which is thrown away unless it is certainly in order.
    pub(crate) async fn ask_once<T: Default>(
        &self,
        mut session: Session,
        sql: &Arc<str>,
        bind: &impl Ask,
        take: &(impl Fn(&mut T, &PgRow) -> Result<bool, StoreError> + Send + Sync),
    ) -> Result<T, Failure> {
        let limit = self.config().patience();
        match tokio::time::timeout(limit, all_rows(&mut session, sql, bind, take)).await {
            Ok(Ok(all)) => Ok(all),
            Ok(Err(failure)) => {
                session.discard();
                Err(failure)
            }
            Err(_) => {
                session.discard();
                Err(Failure::Sql(sqlx::Error::PoolTimedOut))
            }
        }
    }
}

impl PostgresStore {
    /// Asks as [`PostgresPool::ask`] does.
    pub(crate) async fn ask<T: Default + Send>(
        &self,
        sql: &Arc<str>,
        bind: impl Ask,
        take: impl Fn(&mut T, &PgRow) -> Result<bool, StoreError> + Send + Sync,
    ) -> Result<T, StoreError> {
        self.shared.pool.ask(sql, bind, take).await
    }

    /// Asks for at most one row.
    pub(crate) async fn ask_one<T: Send>(
        &self,
        sql: &Arc<str>,
        bind: impl Ask,
        take: impl Fn(&PgRow) -> Result<T, sqlx::Error> + Send + Sync,
    ) -> Result<Option<T>, StoreError> {
        self.ask(sql, bind, |found: &mut Option<T>, row| {
            *found = Some(take(row).map_err(store_error)?);
            Ok(true)
        })
        .await
    }

    pub(crate) async fn page_of_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let statements = &self.shared.statements;
        let sql = match direction {
            Direction::Forward => &statements.stream_forward,
            Direction::Backward => &statements.stream_backward,
        };
        let name = stream_id.as_str().to_owned();
        let bind =
            |query: Query<'static>| query.bind(name.clone()).bind(signed(from)).bind(signed(limit as u64));
        let page: OwnPage = self
            .ask(sql, bind, |page: &mut OwnPage, row| {
                page.is_deleted = row.try_get(BEHIND_EVENT + 1).map_err(store_error)?;
                let version: Option<i64> = row.try_get(BEHIND_EVENT + 2).map_err(store_error)?;
                page.linked_to = version.map(unsigned);
                // A stream that has nothing to give has a row all the same.
                let has_event = row.try_get::<Option<i64>, _>(0).map_err(store_error)?.is_some();
                if has_event && page.linked_to.is_none() {
                    let event = page.event(row)?;
                    page.check_next(&event, from, direction)?;
                    page.events.push(event);
                }
                Ok(page.linked_to.is_some())
            })
            .await?;
        if page.is_deleted {
            return Err(StoreError::StreamDeleted { stream_id: stream_id.clone() });
        }
        let Some(version) = page.linked_to else {
            return Ok(page.events);
        };
        let limit = limit as u64;
        let (first, last) = match direction {
            Direction::Forward => (from, from.saturating_add(limit).saturating_sub(1).min(version)),
            Direction::Backward => {
                let last = from.min(version);
                ((last + 1).saturating_sub(limit), last)
            }
        };
        let mut events = self.places_of_stream(&name, first, last).await?;
        if direction == Direction::Backward {
            events.reverse();
        }
        Ok(events)
    }

    /// The event of that id, or the first one of the command of that id.
    pub(crate) async fn event_of_message(
        &self,
        id: CausationId,
    ) -> Result<Option<RecordedEvent>, StoreError> {
        let bind = |query: Query<'static>| query.bind(id.as_uuid());
        self.ask(&self.shared.statements.message, bind, |found: &mut Option<RecordedEvent>, row| {
            *found = Some(rows::event(row, || rows::stream_id(row, BEHIND_EVENT, None))?);
            Ok(true)
        })
        .await
    }

    /// The events at places of a stream that holds links.
    async fn places_of_stream(
        &self,
        name: &str,
        first: u64,
        last: u64,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let bind = |query: Query<'static>| query.bind(name.to_owned()).bind(signed(first)).bind(signed(last));
        let page: OwnPage = self
            .ask(&self.shared.statements.linked, bind, |page: &mut OwnPage, row| {
                let event = page.event(row)?;
                page.events.push(event);
                Ok(false)
            })
            .await?;
        Ok(page.events)
    }

    pub(crate) async fn info_of_stream(
        &self,
        stream_id: &StreamId,
    ) -> Result<Option<StreamInfo>, StoreError> {
        let name = stream_id.as_str().to_owned();
        self.ask_one(
            &self.shared.statements.stream_info,
            |query| query.bind(name.clone()),
            |row| {
                let Time(created_at) = row.try_get(1)?;
                let info = StreamInfo::active(stream_id.clone(), unsigned(row.try_get(0)?), created_at);
                let is_deleted: bool = row.try_get(2)?;
                Ok(if is_deleted { info.deleted() } else { info })
            },
        )
        .await
    }
}

async fn all_rows<T: Default>(
    session: &mut Session,
    sql: &Arc<str>,
    bind: &impl Ask,
    take: &(impl Fn(&mut T, &PgRow) -> Result<bool, StoreError> + Send + Sync),
) -> Result<T, Failure> {
    let query = bind(session.query(sql));
    let mut all = T::default();
    {
        let mut rows = query.fetch(session.open().await?);
        let mut has_enough = false;
        while let Some(row) = rows.try_next().await? {
            if !has_enough {
                has_enough = take(&mut all, &row).map_err(Failure::Row)?;
            }
        }
    }
    session.finish().await?;
    Ok(all)
}

/// Why a question has no answer: the database's fault, or that of what it holds.
pub(crate) enum Failure {
    Sql(sqlx::Error),
    Row(StoreError),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

#[derive(Default)]
struct OwnPage {
    events: Vec<RecordedEvent>,
    is_deleted: bool,
    /// The version of a stream that holds links.
    linked_to: Option<u64>,
}

impl OwnPage {
    fn event(&self, row: &PgRow) -> Result<RecordedEvent, StoreError> {
        rows::event(row, || rows::stream_id(row, BEHIND_EVENT, self.events.last()))
    }

    /// That no event is missing between this one and the one before it: an aggregate would never notice.
    fn check_next(&self, event: &RecordedEvent, from: u64, direction: Direction) -> Result<(), StoreError> {
        let last = self.events.last().map(|last| last.stream_version);
        let expected = match (direction, last) {
            (Direction::Forward, Some(last)) => last + 1,
            (Direction::Forward, None) => from.max(1),
            (Direction::Backward, Some(last)) => last.saturating_sub(1),
            (Direction::Backward, None) => return Ok(()),
        };
        if event.stream_version == expected {
            return Ok(());
        }
        let (position, version, stream) = (event.position, event.stream_version, &event.stream_id);
        let fault = format!(
            "the event at position {position} has version {version} in stream {stream:?}, after which or before \
             which version {expected} is missing"
        );
        Err(StoreError::Corrupt(fault.into()))
    }
}
