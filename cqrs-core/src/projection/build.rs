//! Rows that are made beside those that readers see, and given to them when they have caught up.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::handler::consumer::Consumer;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, Tenure};
use crate::projection::generation::{active, building, latest_version};
use crate::projection::live::{LOOK, check_log};
use crate::projection::progress::Pace;
use crate::projection::projecting::Projecting;
use crate::projection::{Generation, GenerationError, Projection, RowError, RowPlace, RowStore};
use crate::store::{HandlerCommit, RecordedEvent, StoreError};
use crate::subscription::Buffered;

/// Builds a generation when there is one to be built.
pub(crate) struct Build<P> {
    projecting: Projecting<P>,
    pace: Option<Pace>,
    /// When the next attempt to switch is due.
    switch_at: Instant,
    /// How many came too early.
    misses: u32,
}

/// How long to wait after an attempt to switch that came too early: the active rows were further just then, or have come
/// further by events that these rows are not made of.
const SWITCH_AGAIN: Duration = Duration::from_millis(10);

/// After how many such attempts the active rows are made to stand still, and for how long at most.
const MISSES: u32 = 5;
const HOLD: Duration = Duration::from_secs(5);

/// How many times as long as it has worked it rests while others write, and for how long at most.
const COURTESY: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl<P: Projection> Build<P> {
    pub(crate) fn new(projecting: Projecting<P>) -> Self {
        Self { projecting, pace: None, switch_at: Instant::now(), misses: 0 }
    }
}

impl<P: Projection> Consumer for Build<P> {
    async fn eligible(&mut self, runner: &HandlerRunner) {
        let mut backoff = Backoff::new();
        self.pace = None;
        self.projecting.shared.progress.send_replace(None);
        loop {
            self.projecting.has_changes(runner);
            match self.projecting.shared.all().await {
                Ok(generations) if is_turn(&generations, P::VERSION) => return,
                Ok(_) => {
                    tokio::select! {
                        () = self.projecting.changed_anywhere(runner) => {}
                        () = sleep(LOOK) => {}
                    }
                }
                Err(error) => {
                    tracing::debug!(
                        cqrs.projection = &*self.projecting.shared.name,
                        error = error_text(&error),
                        "whether there is anything to build could not be found out, trying again"
                    );
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn begin(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        self.projecting.has_changes(runner);
        (self.switch_at, self.misses) = (Instant::now(), 0);
        let mut backoff = Backoff::new();
        let number = loop {
            let generations = self.projecting.generations(runner, tenure).await?;
            if !is_turn(&generations, P::VERSION) {
                return Err(End::Yielded);
            }
            if let Some(begun) = building(&generations).filter(|begun| begun.version == P::VERSION) {
                check_log(begun, runner)?;
                break begun.number;
            }
            match self.add(runner, &generations).await {
                Ok(number) => break number,
                Err(GenerationError::Store(error)) => {
                    self.projecting.wait(runner, &error, &mut backoff, tenure).await?;
                }
                Err(_) => return Err(End::Yielded),
            }
        };
        self.projecting.open(runner, number, tenure).await?;
        runner.set_state(HandlerState::Running);
        self.pace = Some(Pace::new(number, P::VERSION, runner.position()));
        self.tell(runner);
        tracing::info!(
            cqrs.projection = &*self.projecting.shared.name,
            cqrs.generation = number,
            cqrs.version = P::VERSION,
            cqrs.position = runner.position(),
            "rows are built beside those that readers see"
        );
        Ok(())
    }

    async fn consume(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let (end, began) = (runner.tail.last(), Instant::now());
        self.projecting.consume_all(runner, events, tenure).await?;
        self.tell(runner);
        let is_far = matches!(runner.tail.after(&runner.subscriber, runner.position()), Buffered::Behind);
        if is_far && runner.tail.last() > end {
            // Somebody writes meanwhile, and comes first.
            runner.wait((began.elapsed() * COURTESY).min(LONGEST_PAUSE), tenure).await?;
        }
        Ok(())
    }

    async fn retry_parked(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        runner.retry_parked(&mut self.projecting, key, with_first, done, tenure).await
    }

    async fn before_reset(
        &mut self,
        _runner: &HandlerRunner,
        _done: HandlerCommit,
    ) -> Result<HandlerCommit, String> {
        Err("what is being built is discarded, not reset".to_owned())
    }

    async fn tend(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        if self.projecting.has_changes(runner) {
            let generations = self.projecting.generations(runner, tenure).await?;
            let own = self.projecting.at.as_ref().map(|at| at.rows.generation);
            if building(&generations).map(|building| building.number) != own {
                return Err(End::Yielded);
            }
        }
        self.projecting.settle(runner, tenure).await?;
        let is_near = !matches!(runner.tail.after(&runner.subscriber, runner.position()), Buffered::Behind);
        // Readers of rows that are further than their position would see events twice.
        if is_near && self.projecting.made.is_empty() && Instant::now() >= self.switch_at {
            self.switch(runner, tenure).await?;
        }
        Ok(())
    }

    async fn woken(&mut self) {
        tokio::select! {
            () = self.projecting.changed() => {}
            () = sleep_until(self.switch_at) => {}
        }
    }

    async fn finish(&mut self, runner: &HandlerRunner, _tenure: &mut Tenure) -> Result<(), End> {
        self.projecting.flush(runner).await;
        Ok(())
    }
}

impl<P: Projection> Build<P> {
    async fn add(&self, runner: &HandlerRunner, generations: &[Generation]) -> Result<u64, GenerationError> {
        let (rows, name) = (self.projecting.shared.rows(), &self.projecting.shared.name);
        if let Some(older) = building(generations) {
            rows.discard(name, older.number).await?;
        }
        rows.add(name, P::VERSION, &runner.store.identity().to_string()).await
    }

    /// Gives readers the rows, unless those that they see have come further.
    async fn switch(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        let Some(at) = self.projecting.at.clone() else { return Err(End::Yielded) };
        let position = runner.position().max(at.saved);
        match self.projecting.shared.rows().activate(&at.rows, at.saved, position).await {
            Ok(()) => {
                tracing::info!(
                    cqrs.projection = &*self.projecting.shared.name,
                    cqrs.generation = at.rows.generation,
                    cqrs.version = P::VERSION,
                    cqrs.position = position,
                    "readers see the new rows"
                );
                self.projecting.shared.changed();
                if let Err(error) = runner.leases.call_owners().await {
                    tracing::debug!(error = error_text(&error), "the other nodes could not be told");
                }
                Err(End::Yielded)
            }
            Err(RowError::Behind { .. }) => {
                self.switch_at = Instant::now() + SWITCH_AGAIN;
                self.misses += 1;
                if self.misses.is_multiple_of(MISSES) {
                    self.hold_active(&at.rows).await;
                    self.switch_at = Instant::now();
                }
                Ok(())
            }
            Err(RowError::Fenced { .. }) => Err(End::Yielded),
            Err(RowError::Store(error) | RowError::Refused(error)) => {
                self.switch_at = Instant::now() + SWITCH_AGAIN;
                self.projecting.wait(runner, &error, &mut Backoff::new(), tenure).await?;
                // It may have happened all the same.
                self.projecting.claim(runner, tenure).await?;
                let generations = self.projecting.generations(runner, tenure).await?;
                if active(&generations).map(|active| active.number) == Some(at.rows.generation) {
                    self.projecting.shared.changed();
                    return Err(End::Yielded);
                }
                runner.set_state(HandlerState::Running);
                Ok(())
            }
        }
    }

    /// Has the active rows stand still: while much is written, and they are made by a node that hears of it first, these
    /// would never come as far.
    async fn hold_active(&self, place: &RowPlace) {
        match self.projecting.shared.rows().hold_active(place, HOLD).await {
            Ok(position) => tracing::debug!(
                cqrs.projection = &*place.projection,
                cqrs.position = position,
                "the rows that readers see stand still until the new ones have come as far"
            ),
            // What is wrong is told by the next attempt to switch.
            Err(error) => tracing::debug!(cqrs.projection = &*place.projection, error = error_text(&error)),
        }
    }

    fn tell(&self, runner: &HandlerRunner) {
        let progress = self.pace.as_ref().map(|pace| pace.progress(runner.position(), runner.tail.last()));
        self.projecting.shared.progress.send_replace(progress);
    }
}

/// Whether a program of this version has a generation to build: one that was begun, or the first of its version.
fn is_turn(generations: &[Generation], version: u32) -> bool {
    if active(generations).is_none() {
        return false;
    }
    let is_begun = building(generations).is_some_and(|begun| begun.version == version);
    is_begun || latest_version(generations).is_some_and(|latest| latest < version)
}
