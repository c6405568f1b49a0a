use std::sync::Arc;

use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::handler::parked::{PARKED, ParkedKeys};
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, ParkedKey, Tenure};
use crate::projection::ProjectionPlace;
use crate::projection::batch::BatchSize;
use crate::projection::control::Shared;
use crate::projection::generation::active;
use crate::projection::made::Made;
use crate::projection::{Claim, Generation, Projection, RowError, RowPlace, RowStore, RowTransaction};
use crate::store::{HandlerCommit, HandlerRecord, StoreError};
use crate::telemetry::ErrorType as _;
use crate::user_code;

/// Has a projection make the rows of one generation.
pub(crate) struct Projecting<P> {
    pub(crate) shared: Arc<Shared<P>>,
    /// Where it writes, once there is a generation.
    pub(crate) at: Option<At>,
    /// What is made beyond that.
    pub(crate) made: Made,
    pub(crate) size: BatchSize,
    /// Changes when another node may have done something to the generations.
    calls: Option<watch::Receiver<u64>>,
    changes: watch::Receiver<u64>,
    is_rebuild: bool,
    /// Whether appends write to the same rows.
    is_inline: bool,
}

/// A generation that this node owns.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) rows: RowPlace,
    pub(crate) place: Arc<ProjectionPlace>,
    /// Up to where its rows are made.
    pub(crate) saved: u64,
}

/// Why the rows of some events were not written.
pub(crate) enum Trouble {
    /// One of the events cannot be projected, for this kind of reason.
    Event(&'static str),
    /// The rows cannot be reached.
    Rows(StoreError),
    /// The rows belong to somebody else.
    Fenced,
}

impl From<RowError> for Trouble {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Fenced { .. } | RowError::Behind { .. } => Self::Fenced,
            RowError::Refused(_) => Self::Event(error.error_type()),
            RowError::Store(error) => Self::Rows(error),
        }
    }
}

impl<P: Projection> Projecting<P> {
    pub(crate) fn new(shared: Arc<Shared<P>>, size: BatchSize, is_rebuild: bool) -> Self {
        let mut changes = shared.changes.subscribe();
        changes.mark_unchanged();
        let is_inline = P::INLINE && !is_rebuild;
        Self { shared, at: None, made: Made::default(), size, calls: None, changes, is_rebuild, is_inline }
    }

    /// Whether the rows are ones that nobody sees yet.
    pub(crate) fn is_rebuild(&self) -> bool {
        self.is_rebuild
    }

    /// Whether appends write to the same rows.
    pub(crate) fn is_inline(&self) -> bool {
        self.is_inline
    }

    /// Whether something may have happened to the generations since it was asked last.
    pub(crate) fn has_changes(&mut self, runner: &HandlerRunner) -> bool {
        let calls = self.calls.get_or_insert_with(|| runner.leases.watch());
        let is_called = calls.has_changed().unwrap_or(false);
        let is_changed = self.changes.has_changed().unwrap_or(false);
        calls.mark_unchanged();
        self.changes.mark_unchanged();
        is_called || is_changed
    }

    /// Is ready when something may have happened to the generations in this process.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn changed(&self) {
        let mut changes = self.changes.clone();
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Is ready when something may have happened to the generations.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn changed_anywhere(&mut self, runner: &HandlerRunner) {
        let calls = self.calls.get_or_insert_with(|| runner.leases.watch());
        let mut calls = calls.clone();
        tokio::select! {
            () = self.changed() => {}
            Ok(()) = calls.changed() => {}
        }
    }

    /// The generations, however long it takes to learn them.
    pub(crate) async fn generations(
        &self,
        runner: &HandlerRunner,
        tenure: &Tenure,
    ) -> Result<Vec<Generation>, End> {
        let mut backoff = Backoff::new();
        loop {
            let generations = tokio::select! {
                biased;
                generations = self.shared.all() => generations,
                () = tenure.lease.over() => return Err(End::Over),
            };
            match generations {
                Ok(generations) => return Ok(generations),
                Err(error) => self.wait(runner, &error, &mut backoff, tenure).await?,
            }
        }
    }

    /// Becomes the owner of a generation, has its empty rows created if there are none, and goes to where they are
    /// made.
    pub(crate) async fn open(
        &mut self,
        runner: &HandlerRunner,
        generation: u64,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let rows =
            RowPlace { projection: Arc::clone(&self.shared.name), generation, epoch: tenure.lease.epoch() };
        let place = Arc::new(ProjectionPlace {
            application: Arc::clone(&runner.application),
            projection: Arc::clone(&self.shared.name),
            version: P::VERSION,
            is_rebuild: self.is_rebuild,
        });
        self.at = Some(At { rows, place, saved: 0 });
        let claim = loop {
            let claim = self.claim(runner, tenure).await?;
            if claim.is_made {
                break claim;
            }
            self.make(runner, tenure).await?;
        };
        runner.control.are_parked(tenure.parked.values().map(|parked| parked.position));
        runner.begin_at(claim.position, tenure).await?;
        Ok(())
    }

    /// Reads again how far the rows are made, however long it takes. Where that is less than it was, since a server has
    /// forgotten what it had not brought to disk, the tenure ends: the next one begins there.
    pub(crate) async fn claim(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<Claim, End> {
        let mut backoff = Backoff::new();
        loop {
            let Some(at) = &mut self.at else { return Err(End::Yielded) };
            let claimed = tokio::select! {
                biased;
                claimed = self.shared.projection.rows().claim(&at.rows) => claimed,
                () = tenure.lease.over() => return Err(End::Over),
            };
            let error = match claimed {
                Ok(claim) => {
                    match parked_keys(&claim).and_then(|parked| Ok((parked, Made::of_claim(&claim)?))) {
                        Ok(_) if claim.position < at.saved => return Err(End::Yielded),
                        Ok((parked, made)) => {
                            at.saved = claim.position;
                            self.made = made;
                            tenure.parked = parked;
                            runner.set_parked(tenure);
                            return Ok(claim);
                        }
                        Err(error) => error,
                    }
                }
                Err(RowError::Store(error)) => error,
                Err(_) => return Err(End::Yielded),
            };
            self.wait(runner, &error, &mut backoff, tenure).await?;
        }
    }

    /// Creates the empty rows.
    async fn make(&mut self, runner: &HandlerRunner, tenure: &Tenure) -> Result<(), End> {
        let mut backoff = Backoff::new();
        loop {
            let made = tokio::select! {
                biased;
                made = self.try_make(runner) => made,
                () = tenure.lease.over() => return Err(End::Over),
            };
            match made {
                Ok(()) => return Ok(()),
                Err(RowError::Store(error) | RowError::Refused(error)) => {
                    self.wait(runner, &error, &mut backoff, tenure).await?;
                }
                Err(_) => return Err(End::Yielded),
            }
        }
    }

    async fn try_make(&self, runner: &HandlerRunner) -> Result<(), RowError> {
        let Some(at) = &self.at else { return Ok(()) };
        let mut transaction = self.shared.rows().make(&at.rows).await?;
        let created = self.shared.projection.create(transaction.connection());
        let fault = match user_code::call(runner.handling_limit, created).await {
            Ok(Ok(())) => return transaction.commit(0, HandlerCommit::new().position(0)).await,
            Ok(Err(error)) => error_text(&error),
            Err(cut_off) => format!("create {cut_off}"),
        };
        let _ = transaction.roll_back().await;
        Err(StoreError::Failed(fault.into()).into())
    }

    /// Goes to where appends have made the rows meanwhile.
    pub(crate) async fn follow_appends(
        &mut self,
        runner: &HandlerRunner,
        tenure: &Tenure,
    ) -> Result<(), End> {
        let generations = self.generations(runner, tenure).await?;
        let Some(at) = &mut self.at else { return Err(End::Yielded) };
        let Some(active) = active(&generations).filter(|active| active.number == at.rows.generation) else {
            return Err(End::Yielded);
        };
        at.saved = at.saved.max(active.position);
        runner.advance(at.saved);
        runner.set_state(HandlerState::Running);
        Ok(())
    }

    /// Begins a transaction on the rows, and tells up to where they are made. Where appends write to them as well, they are
    /// kept from it until it ends.
    pub(crate) async fn begin(&self) -> Result<(<P::Rows as RowStore>::Transaction, u64), RowError> {
        let Some(at) = &self.at else {
            return Err(StoreError::Failed("there are no rows".into()).into());
        };
        let rows = self.shared.rows();
        match self.is_inline {
            true => rows.begin_alone(&at.rows).await,
            false => Ok((rows.begin(&at.rows).await?, at.saved)),
        }
    }

    /// Writes a commit without rows; `parked` are the keys that are parked by now. What appends have projected meanwhile is
    /// not parked any more.
    pub(crate) async fn write(
        &mut self,
        mut commit: HandlerCommit,
        parked: &ParkedKeys,
    ) -> Result<(), RowError> {
        let Some(known) = self.at.as_ref().map(|at| at.saved) else { return Ok(()) };
        let (transaction, from) = self.begin().await?;
        let Some(at) = &mut self.at else { return Ok(()) };
        at.saved = from;
        let is_new = |record: &HandlerRecord| record.kind == PARKED && !parked.contains_key(&record.key);
        if from != known && commit.records.values().flatten().any(is_new) {
            return Err(at.rows.fenced());
        }
        commit.position = commit.position.filter(|position| *position > from);
        let position = commit.position;
        transaction.commit(from, commit).await?;
        at.saved = position.unwrap_or(from);
        Ok(())
    }

    /// Notes down where the projection has come to without having had anything to write, so that it need not read that
    /// again. When this fails, the next time is soon enough.
    pub(crate) async fn flush(&mut self, runner: &HandlerRunner) {
        let position = runner.position();
        if self.at.as_ref().is_none_or(|at| at.saved >= position) {
            return;
        }
        if let Err(error) = self.write(HandlerCommit::new().position(position), &ParkedKeys::new()).await {
            tracing::debug!(
                cqrs.projection = &*self.shared.name,
                error = error_text(&error),
                "the position of the rows could not be written"
            );
        }
    }

    /// The rows cannot be reached: waits before the next attempt.
    pub(crate) async fn wait(
        &self,
        runner: &HandlerRunner,
        error: &StoreError,
        backoff: &mut Backoff,
        tenure: &Tenure,
    ) -> Result<(), End> {
        let error = error_text(error);
        tracing::warn!(
            cqrs.projection = &*self.shared.name,
            error,
            "the rows cannot be reached, trying again"
        );
        runner.set_failure(HandlerState::Retrying, &error);
        runner.wait(backoff.pause(), tenure).await
    }
}

/// The keys that are parked, as they stand beside the rows.
fn parked_keys(claim: &Claim) -> Result<ParkedKeys, StoreError> {
    let parked = claim.records.iter().filter(|record| record.kind == PARKED).cloned();
    parked.map(|record| ParkedKey::of_record(record).map(|one| (one.key.clone(), one))).collect()
}
