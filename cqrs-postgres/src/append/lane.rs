use std::sync::Arc;
use std::time::Duration;

use cqrs_core::id::CommandId;
use cqrs_core::store::{Append, AppendError, Appended, StoreError};
use tokio::time::{Instant, sleep, timeout};

use crate::append::batch::Batch;
use crate::append::statement::{self, Answer, is_own, read_outcome, refused};
use crate::append::unit::Unit;
use crate::error::{Fault, is_of_content, may_pass_later, store_error};
use crate::head::Head;
use crate::retry::{ATTEMPTS, pause};
use crate::session::Session;
use crate::statements::Statements;
use crate::store::{Shared, committed};
use crate::{Payload, PostgresPool};

/// A way for batches to the database, one at a time, with a connection that it keeps while it is busy.
pub(crate) struct Lane {
    pool: PostgresPool,
    statements: Arc<Statements>,
    payload: Payload,
    schema: Arc<str>,
    head: Arc<Head>,
    channel: Arc<str>,
    session: Option<Session>,
    /// How many batches were carried since the connection was had.
    carried: usize,
}

type Outcome = Result<Vec<Appended>, AppendError>;

impl Lane {
    pub(crate) fn new(store: &Shared) -> Self {
        Self {
            pool: store.pool.clone(),
            statements: Arc::clone(&store.statements),
            payload: store.schema.payload,
            schema: Arc::from(store.schema.name()),
            head: Arc::clone(&store.head),
            channel: Arc::clone(&store.channel),
            session: None,
            carried: 0,
        }
    }

    /// Writes a batch, and tells each request what became of it.
    pub(crate) async fn carry(mut self, batch: Batch) -> Self {
        let (units, replies): (Vec<_>, Vec<_>) =
            batch.into_requests().into_iter().map(|request| (request.unit, request.reply)).unzip();
        self.carried += 1;
        let outcomes = self.write(&units.iter().collect::<Vec<_>>(), Sent::now()).await;
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // Whoever does not wait any more finds the outcome under the append's id.
            let _ = reply.send(outcome);
        }
        self
    }

    pub(crate) fn has_connection(&self) -> bool {
        self.session.is_some()
    }

    /// Whether so many batches were carried with the connection.
    pub(crate) fn has_carried(&self, batches: usize) -> bool {
        self.carried >= batches
    }

    /// Gives the connection back.
    pub(crate) fn rest(&mut self) {
        (self.session, self.carried) = (None, 0);
    }

    /// Writes units, and finds out what became of each.
    async fn write(&mut self, units: &[&Unit], mut sent: Sent) -> Vec<Outcome> {
        let mut attempts = 0;
        loop {
            let error = match self.attempt(units, attempts > 0 || sent.is_open()).await {
                Ok(answers) => return self.conclude(units, answers, &sent).await,
                Err(error) => error,
            };
            attempts += 1;
            let fault = match (sent.is_open(), error.was_sent) {
                // Nothing was sent, so nothing was written by this attempt.
                (false, false) => return refuse_all(units, error.source),
                (true, false) => Fault::Lost,
                (_, true) => Fault::of(&error.source),
            };
            match fault {
                Fault::Refused if units.len() > 1 => return self.write_each(units, &sent).await,
                Fault::Refused => return vec![Err(self.refuse(units, error.source, &sent))],
                Fault::Transient if attempts < ATTEMPTS => {}
                Fault::Transient | Fault::Unavailable if !sent.is_open() => {
                    return refuse_all(units, error.source);
                }
                // The server is not back yet.
                Fault::Transient | Fault::Unavailable => {}
                Fault::Lost => {
                    tracing::warn!(
                        cqrs.schema = &*self.schema,
                        error = &error.source as &dyn std::error::Error,
                        appends = units.len(),
                        "the connection broke while appending, finding out what was written"
                    );
                    sent.lost(&error.source);
                }
            }
            if sent.is_open_for() >= self.pool.config().settle_timeout {
                return units.iter().map(|unit| sent.unknown(unit)).collect();
            }
            sleep(pause(attempts)).await;
        }
    }

    /// Units that cannot travel together, since one of them makes the database refuse all. What is open stays so.
    async fn write_each(&mut self, units: &[&Unit], sent: &Sent) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(units.len());
        for unit in units {
            outcomes.extend(Box::pin(self.write(&[unit], sent.clone())).await);
        }
        outcomes
    }

    /// One try. The connection is kept if it is certainly in order; one that was idle is tested before it is used
    /// `again`.
    async fn attempt(&mut self, units: &[&Unit], again: bool) -> Result<Vec<Answer>, AttemptError> {
        let session = match self.session.take() {
            Some(session) => Ok(session),
            None if again => self.pool.live_session().await,
            None => self.pool.session().await,
        };
        let mut session = session.map_err(|source| AttemptError { source, was_sent: false })?;
        let append = statement::append(&mut session, &self.statements, self.payload, units);
        // A server that does not answer in time never may: the connection can be dead without either end knowing.
        let limit = self.pool.config().patience();
        match timeout(limit, append).await.unwrap_or(Err(sqlx::Error::WorkerCrashed)) {
            Ok((answers, head)) => {
                self.session = Some(session);
                if head > 0 && answers.iter().any(|answer| matches!(answer, Answer::Written(_))) {
                    committed(&self.pool, &self.head, &self.channel, head);
                }
                Ok(answers)
            }
            Err(source) => {
                session.discard();
                Err(AttemptError { source, was_sent: true })
            }
        }
    }

    /// Turns answers into outcomes.
    async fn conclude(&mut self, units: &[&Unit], answers: Vec<Answer>, sent: &Sent) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(units.len());
        for (unit, answer) in units.iter().zip(answers) {
            outcomes.push(match answer {
                Answer::Written(appended) => Ok(appended),
                Answer::Refused(error) if sent.is_open() && may_pass_later(&error) => sent.unknown(unit),
                Answer::Refused(error) => Err(error),
                Answer::Known(append_id) => self.first_outcomes(unit, append_id, sent).await,
            });
        }
        outcomes
    }

    /// Why a unit that travelled alone was not written.
    fn refuse(&self, units: &[&Unit], error: sqlx::Error, sent: &Sent) -> AppendError {
        match units {
            // What lies in the unit is refused however late it is executed. Another refusal, of a permission say, can
            // be over when the attempt comes through whose answer is missing.
            [unit] if sent.is_open() && !is_of_content(&error) => {
                sent.unknown(unit).err().unwrap_or_else(|| refused(error))
            }
            _ => refused(error),
        }
    }

    /// The outcomes of a unit that was written before: by this very request, or by another one with the same id.
    pub(crate) async fn first_outcomes(&self, unit: &Unit, append_id: CommandId, sent: &Sent) -> Outcome {
        if unit.is_chain && !sent.is_open() {
            return Err(AppendError::AlreadyAppended { append_id });
        }
        let mut outcomes = Vec::with_capacity(unit.appends.len());
        for append in &unit.appends {
            match self.first_outcome(append, sent).await {
                Ok(Some(first)) if unit.is_chain && first.repeated => {
                    return Err(AppendError::AlreadyAppended { append_id });
                }
                Ok(Some(first)) => outcomes.push(first),
                Ok(None) => return Err(AppendError::AlreadyAppended { append_id }),
                Err(error) => {
                    return Err(AppendError::OutcomeUnknown { append_id, source: error.into() });
                }
            }
        }
        if let Some(last) = outcomes.iter().filter(|first| !first.repeated).map(|first| first.position).max()
        {
            committed(&self.pool, &self.head, &self.channel, last);
        }
        Ok(outcomes)
    }

    /// The outcome of an append that is known; asked for as long as an append may take to be settled.
    async fn first_outcome(&self, append: &Append, sent: &Sent) -> Result<Option<Appended>, StoreError> {
        let since = Instant::now();
        let mut attempts = 0;
        loop {
            match self.read_first(append, sent).await {
                Err(error) if error.is_retryable() && since.elapsed() < self.pool.config().settle_timeout => {
                }
                told => return told,
            }
            attempts += 1;
            sleep(pause(attempts)).await;
        }
    }

    async fn read_first(&self, append: &Append, sent: &Sent) -> Result<Option<Appended>, StoreError> {
        let Some(mut first) = read_outcome(&self.pool, &self.statements, append.id).await? else {
            return Ok(None);
        };
        if sent.is_open() {
            let (pool, statements) = (&self.pool, &self.statements);
            first.repeated = !is_own(pool, statements, append, first.position, sent.at).await?;
        }
        Ok(Some(first))
    }
}

/// When units were sent first, and whether that attempt or a later one may have written them.
#[derive(Clone)]
pub(crate) struct Sent {
    /// In real time, which is held against that of the database.
    at: std::time::Instant,
    /// Since when an answer is missing, and why.
    open: Option<(Instant, Arc<str>)>,
}

impl Sent {
    pub(crate) fn now() -> Self {
        Self { at: std::time::Instant::now(), open: None }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    pub(crate) fn is_open_for(&self) -> Duration {
        self.open.as_ref().map_or(Duration::ZERO, |(since, _)| since.elapsed())
    }

    pub(crate) fn lost(&mut self, error: &dyn std::fmt::Display) {
        self.open.get_or_insert_with(|| (Instant::now(), error.to_string().into()));
    }

    /// It was not found out whether the unit was written.
    pub(crate) fn unknown(&self, unit: &Unit) -> Outcome {
        let Some(append) = unit.appends.first() else { return Ok(Vec::new()) };
        let source = self.open.as_ref().map_or("the connection broke", |(_, error)| &**error).to_owned();
        Err(AppendError::OutcomeUnknown { append_id: append.id, source: source.into() })
    }
}

struct AttemptError {
    source: sqlx::Error,
    /// Whether the statement may have reached the server.
    was_sent: bool,
}

/// Nothing was written.
fn refuse_all(units: &[&Unit], error: sqlx::Error) -> Vec<Outcome> {
    let text = error.to_string();
    let first = Err(AppendError::Store(unavailable(error)));
    let others =
        units.iter().skip(1).map(|_| Err(AppendError::Store(StoreError::Unavailable(text.clone().into()))));
    std::iter::once(first).chain(others).collect()
}

fn unavailable(error: sqlx::Error) -> StoreError {
    match store_error(error) {
        StoreError::Failed(source) => StoreError::Unavailable(source),
        error => error,
    }
}
