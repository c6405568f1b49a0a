//! One event in a transaction of its own: what is done with the events of a batch that failed, and with parked ones.

use std::sync::Arc;

use crate::backoff::Backoff;
use crate::handler::attempt::Failed;
use crate::handler::parked::PARKED;
use crate::handler::partition::key_of;
use crate::handler::reaction::{Attempt, Reaction};
use crate::handler::worker::End;
use crate::handler::{HandlerError, HandlerRunner, ParkedKey, Tenure};
use crate::projection::hand::hand;
use crate::projection::projecting::Projecting;
use crate::projection::{
    Claim, Projected, Projection, ProjectionContext, RowError, RowStore as _, RowTransaction,
};
use crate::store::{HandlerCommit, RecordedEvent, StoreError};
use crate::telemetry::{self, ErrorType};

/// Why the rows of one event were not written.
enum Fault<E> {
    Event(HandlerError<E>),
    Rows(RowError),
}

impl<E> From<StoreError> for Fault<E> {
    fn from(error: StoreError) -> Self {
        Self::Rows(error.into())
    }
}

impl<E> ErrorType for Fault<E> {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Event(error) => error.error_type(),
            Self::Rows(error) => error.error_type(),
        }
    }
}

impl<P: Projection> Reaction for Projecting<P> {
    async fn attempt(
        &mut self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        attempt: Attempt,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), Failed>, End> {
        let mut backoff = Backoff::new();
        loop {
            let tried = self.try_one(runner, event, attempt, &done);
            let tried = tokio::select! {
                biased;
                tried = telemetry::handler::observe(runner, event, attempt, tried) => tried,
                () = tenure.lease.over() => return Err(End::Over),
            };
            match tried {
                Ok(()) => {
                    self.is_written(&done, tenure);
                    return Ok(Ok(()));
                }
                Err(Fault::Event(error)) => {
                    if self.is_fenced().await {
                        return Err(End::Yielded);
                    }
                    let Some(context) = self.context(event, attempt.number) else { return Err(End::Yielded) };
                    let failure = runner.failure(error, context, attempt);
                    let decision = self.shared.projection.on_error(&failure);
                    return Ok(Err(runner.decide(event, &failure, decision).await));
                }
                Err(Fault::Rows(RowError::Store(error))) => {
                    self.wait(runner, &error, &mut backoff, tenure).await?;
                    // It may have been committed all the same.
                    let claim = self.claim(runner, tenure).await?;
                    if has(&claim, &done) {
                        return Ok(Ok(()));
                    }
                }
                Err(Fault::Rows(_)) => return Err(End::Yielded),
            }
        }
    }

    fn key_of(&self, runner: &HandlerRunner, event: &RecordedEvent) -> String {
        key_of::<P::Event>(&runner.registry, event, |typed| match self.context(event, 1) {
            Some(context) => self.shared.projection.partition_by(typed, &context),
            None => event.stream_id.as_str().to_owned(),
        })
    }

    /// Beside the rows first: that is the truth. The log's store is told for whoever looks.
    async fn keep(
        &mut self,
        runner: &HandlerRunner,
        commit: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let mut beside = HandlerCommit::new();
        beside.records = commit.records.iter().filter(|((kind, _), _)| kind == PARKED).map(own).collect();
        let mut backoff = Backoff::new();
        loop {
            match self.write(beside.clone(), &tenure.parked).await {
                Ok(()) if !self.is_rebuild() => break,
                // The commit has not waited for the disk, but what is read back is there.
                Ok(()) => {
                    if has(&self.claim(runner, tenure).await?, &beside) {
                        break;
                    }
                }
                Err(RowError::Store(error)) => {
                    self.wait(runner, &error, &mut backoff, tenure).await?;
                    self.claim(runner, tenure).await?;
                }
                Err(_) => return Err(End::Yielded),
            }
        }
        match self.is_rebuild() {
            true => Ok(()),
            false => runner.commit(commit, tenure).await,
        }
    }
}

fn own<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

impl<P: Projection> Projecting<P> {
    pub(crate) fn context(&self, event: &RecordedEvent, attempt: u32) -> Option<ProjectionContext> {
        let at = self.at.as_ref()?;
        Some(ProjectionContext::new(event.clone(), Arc::clone(&at.place), attempt))
    }

    /// Whether the rows are somebody else's, or gone, which is no event's fault.
    async fn is_fenced(&self) -> bool {
        let Some(at) = &self.at else { return true };
        matches!(self.shared.rows().claim(&at.rows).await, Err(RowError::Fenced { .. }))
    }

    async fn try_one(
        &self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        attempt: Attempt,
        done: &HandlerCommit,
    ) -> Result<(), Fault<P::Error>> {
        let Some(context) = self.context(event, attempt.number) else { return Ok(()) };
        let wanted = runner.wanted::<P::Event, P::Error>(event).map_err(Fault::Event)?;
        let wanted: Vec<_> = wanted.into_iter().map(|typed| Projected::new(typed, context.clone())).collect();
        let (mut transaction, from) = self.begin().await.map_err(Fault::Rows)?;
        if self.is_inline() && done.position.is_some_and(|position| position <= from) {
            // An append was first.
            transaction.roll_back().await?;
            return Ok(());
        }
        if !wanted.is_empty() {
            let ambient = runner.ambient(event);
            let limit = runner.handling_limit;
            let handed = hand(&self.shared.projection, &wanted, transaction.connection(), ambient, limit);
            if let Err(error) = handed.await {
                // Where nothing can be undone, it was not the event's fault.
                transaction.roll_back().await?;
                return Err(Fault::Event(error));
            }
        }
        match transaction.commit(from, done.clone()).await {
            Err(RowError::Refused(error)) => Err(Fault::Event(HandlerError::NotCommitted(error))),
            committed => committed.map_err(Fault::Rows),
        }
    }

    /// Remembers what was written with the rows of an event.
    fn is_written(&mut self, done: &HandlerCommit, tenure: &mut Tenure) {
        if let (Some(at), Some(position)) = (&mut self.at, done.position) {
            at.saved = at.saved.max(position);
        }
        let parked = done.records.values().flatten().filter(|record| record.kind == PARKED);
        for parked in parked.cloned().filter_map(|record| ParkedKey::of_record(record).ok()) {
            tenure.parked.insert(parked.key.clone(), parked);
        }
    }
}

/// Whether that is written: either a position, or records.
fn has(claim: &Claim, done: &HandlerCommit) -> bool {
    match done.position {
        Some(position) => claim.position >= position,
        None => done.records.values().flatten().all(|record| claim.records.contains(record)),
    }
}
