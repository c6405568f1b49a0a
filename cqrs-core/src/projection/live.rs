//! The rows that readers see.

use std::time::Duration;

use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::handler::consumer::Consumer;
use crate::handler::parked::PARKED;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, Tenure};
use crate::projection::generation::{active, building, latest_version};
use crate::projection::projecting::Projecting;
use crate::projection::{Generation, GenerationError, GenerationState, Projection, RowError, RowStore};
use crate::store::{HandlerCommit, RecordedEvent, StoreError};

/// Keeps the rows up to date that readers see, as long as they are of the version of this program.
pub(crate) struct Live<P>(pub(crate) Projecting<P>);

/// How often the generations are looked at by who waits for a turn, in case that a call from another node was lost.
pub(crate) const LOOK: Duration = Duration::from_secs(5);

/// After how many positions without anything to write the position is written by itself.
const FLUSH: u64 = 10_000;

impl<P: Projection> Consumer for Live<P> {
    async fn eligible(&mut self, runner: &HandlerRunner) {
        let mut backoff = Backoff::new();
        let mut is_told = false;
        loop {
            self.0.has_changes(runner);
            match self.0.shared.all().await {
                Ok(generations) if is_turn(&generations, P::VERSION) => return,
                Ok(generations) => {
                    if !is_told {
                        tracing::info!(
                            cqrs.projection = &*self.0.shared.name,
                            cqrs.version = P::VERSION,
                            cqrs.active = active(&generations).map(|active| active.version),
                            "readers see rows of another version, which this program does not write to"
                        );
                    }
                    is_told = true;
                    // A lease that was taken when the application started is for another program's node.
                    runner.last_tenure().begun = None;
                    runner.set_state(HandlerState::Passive);
                    tokio::select! {
                        never = runner.stand_by() => match never {},
                        () = self.0.changed_anywhere(runner) => {}
                        () = sleep(LOOK) => {}
                    }
                }
                Err(error) => {
                    runner.set_failure(HandlerState::Retrying, &error_text(&error));
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn begin(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        self.0.has_changes(runner);
        let known = tenure.parked.clone();
        let generations = self.0.generations(runner, tenure).await?;
        if !is_turn(&generations, P::VERSION) {
            return Err(End::Yielded);
        }
        match active(&generations) {
            Some(active) => {
                check_log(active, runner)?;
                self.0.open(runner, active.number, tenure).await?;
            }
            None => self.begin_first(runner, &generations, tenure).await?,
        }
        runner.set_state(HandlerState::Running);
        // What the log's store tells of parked keys is a copy.
        let gone = known.keys().filter(|key| !tenure.parked.contains_key(*key));
        let copy = gone.fold(HandlerCommit::new(), |copy, key| copy.remove(PARKED, key));
        let new = tenure.parked.values().filter(|parked| known.get(&parked.key) != Some(*parked));
        let copy = new.fold(copy, |copy, parked| copy.put(parked.record()));
        if !copy.records.is_empty() {
            runner.commit(copy, tenure).await?;
        }
        Ok(())
    }

    async fn consume(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        self.0.consume_all(runner, events, tenure).await
    }

    async fn retry_parked(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        runner.retry_parked(&mut self.0, key, with_first, done, tenure).await
    }

    async fn before_reset(
        &mut self,
        _runner: &HandlerRunner,
        _done: HandlerCommit,
    ) -> Result<HandlerCommit, String> {
        Err("a projection is not reset: rebuild it".to_owned())
    }

    async fn tend(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        if self.0.has_changes(runner) {
            let generations = self.0.generations(runner, tenure).await?;
            let own = self.0.at.as_ref().map(|at| at.rows.generation);
            if active(&generations).map(|active| active.number) != own {
                return Err(End::Yielded);
            }
        }
        if self.0.at.as_ref().is_some_and(|at| runner.position().saturating_sub(at.saved) >= FLUSH) {
            self.0.flush(runner).await;
        }
        Ok(())
    }

    async fn woken(&mut self) {
        self.0.changed().await;
    }

    async fn finish(&mut self, runner: &HandlerRunner, _tenure: &mut Tenure) -> Result<(), End> {
        self.0.flush(runner).await;
        Ok(())
    }
}

impl<P: Projection> Live<P> {
    /// Begins the first generation, which readers see at once.
    async fn begin_first(
        &mut self,
        runner: &HandlerRunner,
        generations: &[Generation],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let mut backoff = Backoff::new();
        let number = loop {
            match self.add_first(runner, generations).await {
                Ok(number) => break number,
                Err(GenerationError::Store(error)) => {
                    self.0.wait(runner, &error, &mut backoff, tenure).await?;
                }
                Err(_) => return Err(End::Yielded),
            }
        };
        self.0.open(runner, number, tenure).await?;
        loop {
            let Some(at) = &self.0.at else { return Err(End::Yielded) };
            match self.0.shared.rows().activate(&at.rows, at.saved, at.saved).await {
                Ok(()) => break,
                Err(RowError::Store(error) | RowError::Refused(error)) => {
                    self.0.wait(runner, &error, &mut backoff, tenure).await?;
                }
                Err(_) => return Err(End::Yielded),
            }
        }
        self.0.claim(runner, tenure).await.map(drop)
    }

    async fn add_first(
        &self,
        runner: &HandlerRunner,
        generations: &[Generation],
    ) -> Result<u64, GenerationError> {
        let (rows, name) = (self.0.shared.rows(), &self.0.shared.name);
        if let Some(begun) = building(generations) {
            if begun.version == P::VERSION {
                return Ok(begun.number);
            }
            rows.discard(name, begun.number).await?;
        }
        rows.add(name, P::VERSION, &runner.store.identity().to_string()).await
    }
}

/// Whether a program of this version writes to the rows that readers see.
fn is_turn(generations: &[Generation], version: u32) -> bool {
    match active(generations) {
        Some(active) => active.version == version && !active.is_held,
        None => latest_version(generations).is_none_or(|latest| latest <= version),
    }
}

/// That the rows are made of this log. Events would be missing otherwise, or be there twice.
pub(crate) fn check_log(generation: &Generation, runner: &HandlerRunner) -> Result<(), End> {
    let log = runner.store.identity().to_string();
    if generation.log == log || generation.state == GenerationState::Building && generation.position == 0 {
        return Ok(());
    }
    let error = format!("the rows are made of another log, {}", generation.log);
    tracing::error!(
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.name,
        error,
        "projection stopped: give it rows of its own, or rebuild it and start the application again"
    );
    runner.set_failure(HandlerState::Failed, &error);
    Err(End::Failed)
}
