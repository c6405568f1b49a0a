use std::sync::Arc;
use std::time::Instant;

use cqrs_core::id::{CommandId, EventId};
use cqrs_core::store::{
    Append, AppendError, Appended, ExpectedVersion, StoreError, StreamId, StreamWrite, WrittenStream,
};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgRow};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::append::arguments::{Arguments, Columns, Place, expectation};
use crate::append::unit::{Unit, events_in};
use crate::error::store_error;
use crate::rows::{signed, unsigned};
use crate::session::{Query, Session};
use crate::statements::Statements;
use crate::{Payload, PostgresPool};

/// What became of a unit, as the database told it.
pub(crate) enum Answer {
    Written(Vec<Appended>),
    Refused(AppendError),
    /// An append of the unit is known already.
    Known(CommandId),
}

const WRITTEN: i16 = 0;
const WRONG_VERSION: i16 = 1;
const DELETED: i16 = 2;
const KNOWN: i16 = 3;
const STATE_GOES_BACK: i16 = 4;

/// Appends units in one transaction; gives the answer to each, and the head of the log then.
pub(crate) async fn append(
    session: &mut Session,
    statements: &Statements,
    payload: Payload,
    units: &[&Unit],
) -> Result<(Vec<Answer>, u64), sqlx::Error> {
    if let [unit] = units {
        if unit.only_write().is_some() {
            return append_one(session, statements, payload, unit).await;
        }
        if !unit.is_simple() {
            return append_in_turn(session, statements, payload, unit).await;
        }
    }
    let query = session.query(&statements.append_many);
    let answers = append_many(session.open().await?, query, payload, units).await?;
    session.finish().await?;
    Ok(answers)
}

/// Appends a unit of one append in a transaction that somebody else has begun, and ends.
pub(crate) async fn append_within(
    connection: &mut PgConnection,
    statements: &Statements,
    payload: Payload,
    persistent: bool,
    unit: &Unit,
) -> Result<Answer, AppendError> {
    append_unit(connection, statements, payload, persistent, unit).await.map_err(refused)
}

/// Appends a unit in a transaction that was begun, and is to be undone unless it was written.
pub(crate) async fn append_unit(
    connection: &mut PgConnection,
    statements: &Statements,
    payload: Payload,
    persistent: bool,
    unit: &Unit,
) -> Result<Answer, sqlx::Error> {
    let query = || sqlx::query(AssertSqlSafe(Arc::clone(&statements.append_many))).persistent(persistent);
    if unit.is_simple() {
        let (answers, _) = append_many(connection, query(), payload, &[unit]).await?;
        return Ok(answers.into_iter().next().unwrap_or_else(|| Answer::Written(Vec::new())));
    }
    let mut all = Vec::with_capacity(unit.appends.len());
    for append in &unit.appends {
        let link = Unit::chain(vec![append.clone()]);
        let (answers, _) = append_many(connection, query(), payload, &[&link]).await?;
        for answer in answers {
            match answer {
                Answer::Written(written) => all.extend(written),
                refused => return Ok(refused),
            }
        }
    }
    Ok(Answer::Written(all))
}

/// Why the database refused a unit that travelled alone.
pub(crate) fn refused(error: sqlx::Error) -> AppendError {
    match error.as_database_error().and_then(duplicate_in) {
        Some(event_id) => AppendError::DuplicateEvent { event_id },
        None => store_error(error).into(),
    }
}

/// The event that is in the store already, when that is what the error says. Postgres names it in the detail,
/// `Key (event_id)=(..) already exists.`
fn duplicate_in(error: &(dyn DatabaseError + 'static)) -> Option<EventId> {
    if error.constraint() != Some("events_event_id") {
        return None;
    }
    let detail = error.try_downcast_ref::<PgDatabaseError>()?.detail()?;
    let (_, rest) = detail.split_once("=(")?;
    let (id, _) = rest.split_once(')')?;
    uuid::Uuid::parse_str(id).ok().map(EventId::from)
}

/// One append of events to one stream.
async fn append_one(
    session: &mut Session,
    statements: &Statements,
    payload: Payload,
    unit: &Unit,
) -> Result<(Vec<Answer>, u64), sqlx::Error> {
    let Some((append, stream_id, expected, events)) = unit.only_write() else {
        return Err(sqlx::Error::InvalidArgument("the append is more than one write of events".to_owned()));
    };
    let mut columns = Columns::default();
    for (event, metadata) in events.iter().zip(&unit.metadata) {
        columns.push(event, metadata.clone());
    }
    let query = session.query(&statements.append_one);
    let query = query.bind(append.id.as_uuid()).bind(stream_id.as_str()).bind(expectation(expected));
    let row = columns.bind(query, payload).fetch_one(session.open().await?).await?;
    session.finish().await?;
    let (status, version, head): (i16, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (version, head) = (unsigned(version), unsigned(head));
    let answer = match status {
        WRITTEN => {
            let events = events.len() as u64;
            let written = WrittenStream { stream_id: stream_id.clone(), version: version + events, events };
            Answer::Written(vec![Appended { streams: vec![written], position: head, repeated: false }])
        }
        KNOWN => Answer::Known(append.id),
        status => Answer::Refused(refusal(status, stream_id, expected, version)),
    };
    Ok((vec![answer], head))
}

/// Any number of simple units, each with a verdict of its own.
async fn append_many(
    connection: &mut PgConnection,
    query: Query<'_>,
    payload: Payload,
    units: &[&Unit],
) -> Result<(Vec<Answer>, u64), sqlx::Error> {
    let mut arguments = Arguments::default();
    let places: Vec<Vec<Place>> = units.iter().map(|unit| arguments.push(unit)).collect();
    let row = arguments.bind(query, payload).fetch_one(connection).await?;
    let told = Told {
        units: row.try_get(0)?,
        status: row.try_get::<Option<_>, _>(1)?.unwrap_or_default(),
        version: row.try_get::<Option<_>, _>(2)?.unwrap_or_default(),
        position: row.try_get::<Option<_>, _>(3)?.unwrap_or_default(),
        state_status: row.try_get::<Option<_>, _>(4)?.unwrap_or_default(),
        state_version: row.try_get::<Option<_>, _>(5)?.unwrap_or_default(),
        known: row.try_get::<Option<_>, _>(6)?.unwrap_or_default(),
    };
    let answers = units
        .iter()
        .zip(&told.units)
        .zip(&places)
        .map(|((unit, status), places)| told.answer(unit, *status, places))
        .collect();
    Ok((answers, unsigned(row.try_get(7)?)))
}

/// A chain that no single statement can write: one statement for each append, in a transaction.
async fn append_in_turn(
    session: &mut Session,
    statements: &Statements,
    payload: Payload,
    unit: &Unit,
) -> Result<(Vec<Answer>, u64), sqlx::Error> {
    let (mut all, mut head) = (Vec::with_capacity(unit.appends.len()), 0);
    for append in &unit.appends {
        let link = Unit::chain(vec![append.clone()]);
        let query = session.query(&statements.append_many);
        let (answers, now) = append_many(session.begin().await?, query, payload, &[&link]).await?;
        head = now;
        for answer in answers {
            match answer {
                Answer::Written(written) => all.extend(written),
                refused => {
                    session.undo().await?;
                    return Ok((vec![refused], 0));
                }
            }
        }
    }
    session.finish().await?;
    Ok((vec![Answer::Written(all)], head))
}

/// The answer of `append_many`.
struct Told {
    units: Vec<i16>,
    status: Vec<i16>,
    version: Vec<i64>,
    position: Vec<i64>,
    state_status: Vec<i16>,
    state_version: Vec<i64>,
    known: Vec<uuid::Uuid>,
}

impl Told {
    fn answer(&self, unit: &Unit, status: i16, places: &[Place]) -> Answer {
        match status {
            WRITTEN => Answer::Written(self.written(unit, places)),
            KNOWN => {
                let known = unit.appends.iter().find(|append| self.known.contains(&append.id.as_uuid()));
                let first = unit.appends.first();
                known.or(first).map_or_else(|| Answer::Written(Vec::new()), |append| Answer::Known(append.id))
            }
            _ => Answer::Refused(self.refusal(unit, places)),
        }
    }

    fn written(&self, unit: &Unit, places: &[Place]) -> Vec<Appended> {
        let mut places = places.iter();
        let appended = unit.appends.iter().map(|append| {
            let mut position = 0;
            let streams = append.writes.iter().zip(&mut places).map(|(write, place)| {
                let stream_id = write.stream_id().clone();
                match (write, *place) {
                    (_, Place::Write { index, until }) => {
                        let events = events_in(write).len() as u64;
                        if events > 0 {
                            position = at(&self.position, index) + until;
                        }
                        WrittenStream { stream_id, version: at(&self.version, index) + until, events }
                    }
                    (StreamWrite::State { version, .. }, Place::State { .. }) => {
                        WrittenStream { stream_id, version: *version, events: 0 }
                    }
                    (_, Place::State { .. }) => WrittenStream { stream_id, version: 0, events: 0 },
                }
            });
            let streams = streams.collect();
            Appended { streams, position, repeated: false }
        });
        appended.collect()
    }

    /// Why the first write that was refused was.
    fn refusal(&self, unit: &Unit, places: &[Place]) -> AppendError {
        for (write, place) in unit.writes().zip(places) {
            let (status, version) = match *place {
                Place::Write { index, .. } => (self.status.get(index), at(&self.version, index)),
                Place::State { index } => (self.state_status.get(index), at(&self.state_version, index)),
            };
            let status = status.copied().unwrap_or(WRITTEN);
            if status != WRITTEN {
                let expected = match write {
                    StreamWrite::Events { expected, .. } => *expected,
                    StreamWrite::State { expected, .. } => ExpectedVersion::Exact(*expected),
                    _ => ExpectedVersion::Any,
                };
                return refusal(status, write.stream_id(), expected, version);
            }
        }
        AppendError::Store(StoreError::Failed("the database refused an append without a reason".into()))
    }
}

fn refusal(status: i16, stream_id: &StreamId, expected: ExpectedVersion, actual: u64) -> AppendError {
    let stream_id = stream_id.clone();
    match status {
        WRONG_VERSION => AppendError::WrongExpectedVersion { stream_id, expected, actual },
        DELETED => AppendError::StreamDeleted { stream_id },
        STATE_GOES_BACK => AppendError::Store(StoreError::Failed(
            format!("the state of stream {stream_id:?} cannot go on from version {actual} to an earlier one")
                .into(),
        )),
        unknown => AppendError::Store(StoreError::Failed(
            format!("the database told an unknown status, {unknown}").into(),
        )),
    }
}

fn at(numbers: &[i64], index: usize) -> u64 {
    numbers.get(index).copied().map_or(0, unsigned)
}

/// The first outcome of an append, if there was one.
pub(crate) async fn read_outcome(
    pool: &PostgresPool,
    statements: &Statements,
    id: CommandId,
) -> Result<Option<Appended>, StoreError> {
    let outcome = |outcome: &mut Option<Appended>, row: &PgRow| {
        let appended = outcome.get_or_insert(Appended { streams: Vec::new(), position: 0, repeated: true });
        read_write(appended, row).map_err(store_error)?;
        Ok(false)
    };
    pool.ask(&statements.outcome, |query| query.bind(id.as_uuid()), outcome).await
}

fn read_write(appended: &mut Appended, row: &PgRow) -> Result<(), sqlx::Error> {
    // An append without any write has a row as well, which names no stream.
    let Some(stream) = row.try_get::<Option<&str>, _>(0)? else { return Ok(()) };
    let stream_id = StreamId::new(stream).map_err(|fault| sqlx::Error::Decode(fault.into()))?;
    let (version, events) = (unsigned(row.try_get(1)?), unsigned(row.try_get(2)?));
    appended.streams.push(WrittenStream { stream_id, version, events });
    appended.position = appended.position.max(unsigned(row.try_get(3)?));
    Ok(())
}

/// Whether an append that is known was made by a request that was first sent at this moment: not before, and with its
/// own events.
pub(crate) async fn is_own(
    pool: &PostgresPool,
    statements: &Statements,
    append: &Append,
    position: u64,
    sent: Instant,
) -> Result<bool, StoreError> {
    let last_event = append.writes.iter().flat_map(events_in).last().map(|event| event.event_id.as_uuid());
    let bind =
        |query: Query<'static>| query.bind(append.id.as_uuid()).bind(signed(position)).bind(last_event);
    let origin = |origin: &mut Option<(Option<f64>, bool)>, row: &PgRow| {
        let columns = (row.try_get(0).map_err(store_error)?, row.try_get(1).map_err(store_error)?);
        *origin = Some(columns);
        Ok(true)
    };
    let origin = pool.ask(&statements.origin, bind, origin).await?;
    // Lengths of time are compared, so that the clocks of the two machines need not agree.
    Ok(matches!(origin, Some((Some(age), true)) if age <= sent.elapsed().as_secs_f64()))
}
