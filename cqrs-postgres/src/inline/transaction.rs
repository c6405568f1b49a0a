use std::sync::Arc;
use std::time::Instant;

use cqrs_core::BoxError;
use cqrs_core::id::CommandId;
use cqrs_core::projection::{InlineError, InlineProjection, RowsNotReady};
use cqrs_core::store::{AppendError, Appended, RecordedEvent};
use sqlx::{AssertSqlSafe, Error, PgConnection};

use crate::PostgresRows;
use crate::append::{Answer, Unit, append_unit, refused};
use crate::config::leave_settings;
use crate::error::{Fault, store_error};
use crate::inline::rows::{Advance, Locked, NotLocked};
use crate::rows::{self, BEHIND_EVENT, signed};
use crate::session::Session;
use crate::store::Shared;

/// How many events are read at once.
const PAGE: usize = 1_000;

/// An append, and the projections whose rows go with it.
pub(super) struct InlineAppending<'a> {
    pub(super) store: &'a Shared,
    pub(super) unit: &'a Unit,
    pub(super) projections: &'a [(&'a InlineProjection, &'a PostgresRows)],
}

/// What became of one try, as far as the database told.
pub(super) enum Tried {
    Written(Vec<Appended>, u64),
    /// An append of this id was made before.
    Known(CommandId),
    /// Nothing is written.
    Refused(AppendError),
}

/// A try that failed.
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) source: BoxError,
}

/// How far a try has come; known also when it is given up.
#[derive(Default)]
pub(super) struct Progress {
    /// The process of the server.
    pub(super) backend: Option<i32>,
    /// The commit may have reached the server.
    pub(super) is_committing: bool,
    /// A projection's code was given up, perhaps in the middle of a statement.
    pub(super) is_hung: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { fault: Fault::of(&error), source: store_error(error).into() }
    }
}

impl InlineAppending<'_> {
    /// One try. With `is_open` the answer to an earlier one is missing.
    pub(super) async fn attempt(
        &self,
        session: &mut Session,
        is_open: bool,
        progress: &mut Progress,
    ) -> Result<Tried, Failed> {
        let mut locked = match self.lock(session.begin().await?, progress).await? {
            Ok(locked) => locked,
            Err(not_ready) => {
                session.undo().await?;
                // Whoever has just appended need not have rows that are ready now.
                return match is_open {
                    true => self.look(session, not_ready).await,
                    false => Ok(Tried::Refused(not_ready)),
                };
            }
        };
        // Without the log's lock, as far as that goes.
        for one in &mut locked {
            let to = one.head;
            if let Err(behind) = self.read(one, to, 0, session.begin().await?).await? {
                session.undo().await?;
                return Ok(Tried::Refused(behind));
            }
        }
        let appended = match self.append(session.begin().await?).await? {
            Ok(Answer::Written(appended)) => appended,
            Ok(Answer::Known(append_id)) => {
                session.undo().await?;
                return Ok(Tried::Known(append_id));
            }
            Ok(Answer::Refused(error)) | Err(error) => {
                session.undo().await?;
                return Ok(Tried::Refused(error));
            }
        };
        let last = appended.iter().map(|one| one.position).max().unwrap_or_default();
        let own = appended.iter().flat_map(|one| &one.streams).map(|stream| stream.events).sum();
        for one in &mut locked {
            let events = match self.read(one, last, own, session.begin().await?).await? {
                Ok(events) => events,
                Err(behind) => {
                    session.undo().await?;
                    return Ok(Tried::Refused(behind));
                }
            };
            one.appended = events;
        }
        for one in &locked {
            if let Err(error) = self.project(one, last, session.begin().await?, progress).await? {
                // Where the code hangs, the connection cannot be asked for anything any more.
                if !progress.is_hung {
                    session.undo().await?;
                }
                return Ok(Tried::Refused(error));
            }
        }
        progress.is_committing = true;
        match session.finish().await {
            Ok(()) => Ok(Tried::Written(appended, last)),
            // A constraint that is looked at last.
            Err(error) if Fault::of(&error) == Fault::Refused => {
                let names: Vec<_> = self.projections.iter().map(|(one, _)| one.name()).collect();
                let error = InlineError::NotCommitted(store_error(error));
                Ok(Tried::Refused(not_projected(&names.join(", "), error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Locks the rows, in the order of their names; the inner error is that some are not ready.
    async fn lock(
        &self,
        connection: &mut PgConnection,
        progress: &mut Progress,
    ) -> Result<Result<Vec<Locked<'_>>, AppendError>, Failed> {
        let mut all = Vec::with_capacity(self.projections.len());
        for (projection, rows) in self.projections {
            let head = &*self.store.statements.head;
            let reason = match Locked::lock(projection, rows, head, &mut *connection, self.persistent()).await
            {
                Ok(locked) => {
                    progress.backend = Some(locked.backend);
                    let ready = projection.check(Some(&locked.generation), self.store.identity());
                    all.push(locked);
                    ready.err()
                }
                Err(NotLocked::NotReady(reason)) => Some(reason),
                Err(NotLocked::Failed(error)) => return Err(error.into()),
            };
            if let Some(reason) = reason {
                return Ok(Err(not_projected(projection.name(), reason.into())));
            }
        }
        Ok(Ok(all))
    }

    /// Finds out whether an earlier try was committed; if not, it never will be: whoever appends holds the lock of the log.
    async fn look(&self, session: &mut Session, not_ready: AppendError) -> Result<Tried, Failed> {
        let answer = self.append(session.begin().await?).await?;
        session.undo().await?;
        match answer {
            Ok(Answer::Known(append_id)) => Ok(Tried::Known(append_id)),
            _ => Ok(Tried::Refused(not_ready)),
        }
    }

    /// Appends; the inner error is that the database refuses what is to be written.
    async fn append(&self, connection: &mut PgConnection) -> Result<Result<Answer, AppendError>, Failed> {
        let Shared { statements, schema, .. } = self.store;
        match append_unit(connection, statements, schema.payload, self.persistent(), self.unit).await {
            Ok(answer) => Ok(Ok(answer)),
            Err(error) if Fault::of(&error) == Fault::Refused => Ok(Err(refused(error))),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the events that are missing in rows up to a position, the last `own` of which are not; the inner error is that
    /// they are too many.
    async fn read(
        &self,
        rows: &mut Locked<'_>,
        to: u64,
        own: u64,
        connection: &mut PgConnection,
    ) -> Result<Result<Vec<RecordedEvent>, AppendError>, Failed> {
        let position = rows.generation.position;
        let mut from = rows.read_to.max(position);
        let filter = rows.projection.filter();
        let types: Option<Vec<String>> = filter.event_types().map(|types| types.map(str::to_owned).collect());
        let mut appended = Vec::new();
        while from < to {
            let sql = AssertSqlSafe(Arc::clone(&self.store.statements.log_between));
            let query = sqlx::query(sql).bind(signed(from)).bind(signed(to)).bind(types.clone());
            let query = query.bind(signed(PAGE as u64));
            let read = query.persistent(self.persistent()).fetch_all(&mut *connection).await?;
            for row in &read {
                let neighbour = rows.missed.last();
                let event = rows::event(row, || rows::stream_id(row, BEHIND_EVENT, neighbour));
                let event = event.map_err(|error| Failed { fault: Fault::Refused, source: error.into() })?;
                from = event.position;
                match event.position > to - own {
                    true => appended.push(event),
                    false if filter.passes(&event) => rows.missed.push(event),
                    false => {}
                }
            }
            if rows.missed.len() > InlineProjection::MOST_MISSED {
                let behind = RowsNotReady::Behind { position }.into();
                return Ok(Err(not_projected(rows.projection.name(), behind)));
            }
            if read.len() < PAGE {
                break;
            }
        }
        rows.read_to = to;
        Ok(Ok(appended))
    }

    /// Has a projection write the rows of events; the inner error is why it does not take them.
    async fn project(
        &self,
        rows: &Locked<'_>,
        last: u64,
        connection: &mut PgConnection,
        progress: &mut Progress,
    ) -> Result<Result<(), AppendError>, Failed> {
        let Locked { projection, generation, missed, appended, records, .. } = rows;
        rows.enter(connection, &leave_settings()).await?;
        let began = Instant::now();
        // Until it is known to have ended.
        progress.is_hung = true;
        let projected = projection.project(generation.position, missed, appended, records, connection).await;
        progress.is_hung = matches!(projected, Err(InlineError::TimedOut { .. }));
        let refusal = match projected {
            Ok(()) => match rows.advance(last, connection, self.persistent()).await {
                Ok(()) => return Ok(Ok(())),
                Err(Advance::Refused(error)) => error,
                Err(Advance::Failed(error)) => return Err(error.into()),
            },
            Err(InlineError::Failed(source)) => match fault_in(&*source) {
                // It is not the code's fault, and the same may pass the next time.
                Some(fault @ (Fault::Transient | Fault::Lost)) => return Err(Failed { fault, source }),
                // The server has broken a statement off.
                Some(Fault::Unavailable) if began.elapsed() >= projection.limit() => {
                    InlineError::TimedOut { limit: projection.limit() }
                }
                _ => InlineError::Failed(source),
            },
            Err(error) => error,
        };
        Ok(Err(not_projected(projection.name(), refusal)))
    }

    fn persistent(&self) -> bool {
        !self.store.pool.config().is_pooled()
    }
}

/// What the database said, if it is the cause of an error.
fn fault_in(error: &(dyn std::error::Error + 'static)) -> Option<Fault> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<Error>() {
            return Some(Fault::of(error));
        }
        next = error.source();
    }
    None
}

pub(super) fn not_projected(projection: &str, error: InlineError) -> AppendError {
    AppendError::NotProjected { projection: projection.to_owned(), source: Box::new(error) }
}
