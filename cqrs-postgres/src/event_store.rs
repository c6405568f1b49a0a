use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::id::{CausationId, CommandId};
use cqrs_core::store::{
    Append, AppendError, Appended, BindError, Deletion, Direction, EventFilter, EventStore, ExpectedVersion,
    InlineAppend, Link, LogPage, RecordedEvent, StoreError, StoreIdentity, StoredState, StreamId, StreamInfo,
};
use sqlx::Row as _;
use tokio::sync::{oneshot, watch};

use crate::PostgresStore;
use crate::append::{Request, Unit, read_outcome};
use crate::payload::Stored;
use crate::rows::unsigned;

#[async_trait]
impl EventStore for PostgresStore {
    fn identity(&self) -> StoreIdentity {
        self.store_identity().clone()
    }

    async fn bind(&self, application: &str) -> Result<(), BindError> {
        let statements = &self.shared.statements;
        let name = application.to_owned();
        self.ask_one(&statements.bind, |query| query.bind(name.clone()), |_| Ok(())).await?;
        let owner = self.ask_one(&statements.owner, |query| query, |row| row.try_get::<String, _>(0)).await?;
        match owner {
            Some(owner) if owner == application => Ok(()),
            Some(owner) => Err(BindError::OwnedByAnother { owner, application: name }),
            None => Err(BindError::Store(StoreError::Corrupt(
                "the log has lost the row that names its owner".into(),
            ))),
        }
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let id = append.id;
        let unit = Unit::one(append);
        if let Err(fault) = unit.check(self.shared.schema.max_append_bytes) {
            // What is known by its id has the first outcome, whatever it holds now.
            return match self.outcome(id).await? {
                Some(first) => Ok(first),
                None => Err(fault),
            };
        }
        let mut all = self.submit(unit).await?;
        all.pop().ok_or_else(|| AppendError::Store(StoreError::Failed("the append has no outcome".into())))
    }

    async fn append_all(&self, appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        if appends.is_empty() {
            return Ok(Vec::new());
        }
        let unit = Unit::chain(appends);
        unit.check(self.shared.schema.max_append_bytes)?;
        self.submit(unit).await
    }

    async fn outcome(&self, id: CommandId) -> Result<Option<Appended>, StoreError> {
        read_outcome(&self.shared.pool, &self.shared.statements, id).await
    }

    fn outcome_retention(&self) -> Option<Duration> {
        Some(self.shared.schema.retention)
    }

    async fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        self.page_of_stream(stream_id, from, direction, limit).await
    }

    async fn read_log(&self, after: u64, filter: &EventFilter, limit: usize) -> Result<LogPage, StoreError> {
        self.page_of_log(after, filter, limit).await
    }

    async fn head(&self) -> Result<u64, StoreError> {
        self.read_head().await
    }

    fn watch_head(&self) -> watch::Receiver<u64> {
        self.watch()
    }

    async fn stream_info(&self, stream_id: &StreamId) -> Result<Option<StreamInfo>, StoreError> {
        self.info_of_stream(stream_id).await
    }

    async fn link(&self, link: Link) -> Result<u64, AppendError> {
        self.link_events(link).await
    }

    async fn delete_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        self.delete(stream_id, expected, deletion).await
    }

    async fn find_message(&self, id: CausationId) -> Result<Option<RecordedEvent>, StoreError> {
        self.event_of_message(id).await
    }

    async fn stored_state(&self, stream_id: &StreamId) -> Result<Option<StoredState>, StoreError> {
        let name = stream_id.as_str().to_owned();
        self.ask_one(
            &self.shared.statements.stored_state,
            |query| query.bind(name.clone()),
            |row| {
                Ok(StoredState {
                    version: unsigned(row.try_get(0)?),
                    schema_version: schema_version(row.try_get(1)?)?,
                    data: bytes::Bytes::copy_from_slice(row.try_get::<Stored<'_>, _>(2)?.0),
                })
            },
        )
        .await
    }

    fn inline(&self) -> Option<&dyn InlineAppend> {
        Some(self)
    }
}

pub(crate) fn schema_version(stored: i64) -> Result<u32, sqlx::Error> {
    u32::try_from(stored).map_err(|fault| sqlx::Error::Decode(fault.into()))
}

impl PostgresStore {
    /// Hands a unit to the writer, and waits for what becomes of it. Whoever stops waiting leaves it open.
    async fn submit(&self, unit: Unit) -> Result<Vec<Appended>, AppendError> {
        let (reply, outcome) = oneshot::channel();
        let first = unit.appends.first().map(|append| append.id);
        let gone = || StoreError::Unavailable("the store is closed".into());
        self.shared.requests.send(Request { unit, reply }).await.map_err(|_| gone())?;
        outcome.await.unwrap_or_else(|dropped| match first {
            Some(append_id) => Err(AppendError::OutcomeUnknown { append_id, source: dropped.into() }),
            None => Err(gone().into()),
        })
    }
}
