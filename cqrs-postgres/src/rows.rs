use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::event::Metadata;
use cqrs_core::id::{CausationId, CorrelationId, EventId};
use cqrs_core::store::{RecordedEvent, StoreError, StreamId};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Postgres, Row as _, Type};

use crate::error::store_error;
use crate::payload::Stored;

/// The columns of an event, in the order in which [`Events`] reads them; `e` is the event, `s` its stream of origin.
pub(crate) const EVENT_COLUMNS: &str = "e.position, s.name, e.version, e.recorded_at, e.event_id, e.correlation_id, \
     e.causation_id, e.schema_version, e.type, e.data, e.metadata";

/// Makes events of rows. Neighbours in a stream share its id.
#[derive(Default)]
pub(crate) struct Events {
    last_stream: Option<StreamId>,
}

impl Events {
    pub(crate) fn read(&mut self, row: &PgRow) -> Result<RecordedEvent, StoreError> {
        let position = unsigned(row.try_get(0).map_err(store_error)?);
        self.columns(row, position).map_err(|fault| {
            StoreError::Corrupt(format!("the event at position {position} cannot be read: {fault}").into())
        })
    }

    fn columns(&mut self, row: &PgRow, position: u64) -> Result<RecordedEvent, cqrs_core::BoxError> {
        let metadata: Option<Stored<'_>> = row.try_get(10)?;
        Ok(RecordedEvent {
            event_id: EventId::from(row.try_get::<uuid::Uuid, _>(4)?),
            position,
            stream_id: self.stream(row.try_get(1)?)?,
            stream_version: unsigned(row.try_get(2)?),
            event_type: row.try_get::<String, _>(8)?.into(),
            schema_version: u32::try_from(row.try_get::<i64, _>(7)?)?,
            data: Bytes::copy_from_slice(row.try_get::<Stored<'_>, _>(9)?.0),
            metadata: match metadata {
                Some(stored) => serde_json::from_slice(stored.0)?,
                None => Metadata::new(),
            },
            causation_id: CausationId::from(row.try_get::<uuid::Uuid, _>(6)?),
            correlation_id: CorrelationId::from(row.try_get::<uuid::Uuid, _>(5)?),
            created_at: row.try_get::<Time, _>(3)?.0,
        })
    }

    fn stream(&mut self, name: &str) -> Result<StreamId, cqrs_core::BoxError> {
        if let Some(last) = self.last_stream.as_ref().filter(|last| last.as_str() == name) {
            return Ok(last.clone());
        }
        let stream_id = StreamId::new(name)?;
        self.last_stream = Some(stream_id.clone());
        Ok(stream_id)
    }
}

/// A time of the database. The driver's own decoding panics at those that lie beyond the calendar, `infinity` among
/// them.
pub(crate) struct Time(pub(crate) DateTime<Utc>);

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        <DateTime<Utc> as Type<Postgres>>::type_info()
    }
}

impl Decode<'_, Postgres> for Time {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        // Microseconds since the year 2000.
        const YEAR_2000: i64 = 946_684_800_000_000;
        let since = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        let time = since.checked_add(YEAR_2000).and_then(DateTime::from_timestamp_micros);
        Ok(Self(time.ok_or("a time beyond the calendar")?))
    }
}

/// A number of the database, none of which is negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A number for the database. Those beyond its range stand for what is never reached.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
