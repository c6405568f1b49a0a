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

/// The columns of an event `e`, in the order in which [`event`] reads them.
pub(crate) const EVENT_COLUMNS: &str = "e.position, e.version, e.recorded_at, e.event_id, e.correlation_id, \
     e.causation_id, e.schema_version, e.type, e.data, e.metadata";

/// Where the columns end that every event has.
pub(crate) const BEHIND_EVENT: usize = 10;

/// As many columns without anything in them, for the other side of a union.
pub(crate) const NO_EVENT: &str = "null, null, null, null, null, null, null, null, null, null";

/// The event of a row, and of the stream that is told of it. Its columns are those of the statement: to check the type of
/// each takes as long as to decode them.
pub(crate) fn event(
    row: &PgRow,
    stream: impl FnOnce() -> Result<StreamId, cqrs_core::BoxError>,
) -> Result<RecordedEvent, StoreError> {
    let position = unsigned(row.try_get_unchecked(0).map_err(store_error)?);
    columns(row, position, stream).map_err(|fault| unreadable(position, &*fault))
}

pub(crate) fn unreadable(position: u64, fault: &dyn std::error::Error) -> StoreError {
    StoreError::Corrupt(format!("the event at position {position} cannot be read: {fault}").into())
}

fn columns(
    row: &PgRow,
    position: u64,
    stream: impl FnOnce() -> Result<StreamId, cqrs_core::BoxError>,
) -> Result<RecordedEvent, cqrs_core::BoxError> {
    let metadata: Option<Stored<'_>> = row.try_get_unchecked(9)?;
    Ok(RecordedEvent {
        event_id: EventId::from(row.try_get_unchecked::<uuid::Uuid, _>(3)?),
        position,
        stream_id: stream()?,
        stream_version: unsigned(row.try_get_unchecked(1)?),
        event_type: row.try_get_unchecked::<String, _>(7)?.into(),
        schema_version: u32::try_from(row.try_get_unchecked::<i64, _>(6)?)?,
        data: Bytes::copy_from_slice(row.try_get_unchecked::<Stored<'_>, _>(8)?.0),
        metadata: match metadata {
            Some(stored) => serde_json::from_slice(stored.0)?,
            None => Metadata::new(),
        },
        causation_id: CausationId::from(row.try_get_unchecked::<uuid::Uuid, _>(5)?),
        correlation_id: CorrelationId::from(row.try_get_unchecked::<uuid::Uuid, _>(4)?),
        created_at: row.try_get_unchecked::<Time, _>(2)?.0,
    })
}

/// The name of a row's stream. Neighbours in a stream share its id.
pub(crate) fn stream_id(
    row: &PgRow,
    column: usize,
    neighbour: Option<&RecordedEvent>,
) -> Result<StreamId, cqrs_core::BoxError> {
    let name: &str = row.try_get(column)?;
    match neighbour.map(|event| &event.stream_id).filter(|last| last.as_str() == name) {
        Some(last) => Ok(last.clone()),
        None => Ok(StreamId::new(name)?),
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
