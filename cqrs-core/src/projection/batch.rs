//! Several events in one transaction.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::handler::reaction::Reaction as _;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, Tenure};
use crate::projection::hand::hand;
use crate::projection::made::Made;
use crate::projection::projecting::{Projecting, Trouble};
use crate::projection::{Projected, Projection, RowTransaction};
use crate::store::{HandlerCommit, RecordedEvent};
use crate::telemetry::{self, ErrorType as _};

/// How many events are projected in one transaction: it is made smaller when that takes too long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSize {
    events: usize,
    most: usize,
    time: Duration,
}

impl BatchSize {
    /// For rows that readers see.
    pub(crate) const LIVE: Self = Self { events: 500, most: 500, time: Duration::from_millis(50) };

    /// For rows that nobody sees yet.
    pub(crate) const BULK: Self = Self { events: 1_000, most: 5_000, time: Duration::from_millis(500) };

    /// A batch has taken that long.
    fn learn(&mut self, events: usize, took: Duration) {
        if took > self.time {
            self.events = (self.events / 2).max(1);
        } else if events >= self.events && took < self.time / 2 {
            self.events = (self.events * 2).min(self.most);
        }
    }
}

/// Events that are projected in one transaction.
pub(crate) struct Batch<'a, E> {
    pub(crate) events: Vec<&'a RecordedEvent>,
    /// What they were decoded to.
    pub(crate) projected: Vec<Projected<E>>,
}

impl<E> Batch<'_, E> {
    /// The events that lead to something.
    fn handed(&self) -> Vec<&RecordedEvent> {
        let mut handed: Vec<_> = self.projected.iter().map(|one| one.context.recorded()).collect();
        // One that was upcast to several comes once.
        handed.dedup_by_key(|event| event.position);
        handed
    }
}

impl<E> Default for Batch<'_, E> {
    fn default() -> Self {
        Self { events: Vec::new(), projected: Vec::new() }
    }
}

impl<P: Projection> Projecting<P> {
    /// Projects events that follow each other in the log, in transactions of several.
    pub(crate) async fn consume_all(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let new = |made: &Made| {
            let position = runner.position();
            let is_new = |event: &&RecordedEvent| {
                event.position > position && runner.subscriber.wants(event) && !made.contains(event)
            };
            events.iter().filter(is_new).collect::<Vec<_>>()
        };
        let mut events = new(&self.made);
        if self.is_inline() && !events.is_empty() {
            self.follow_appends(runner, tenure).await?;
            events = new(&self.made);
        }
        let projected = self.project_all(runner, &events, tenure).await;
        if self.is_inline() && matches!(projected, Ok(()) | Err(End::Interrupted)) {
            // Appends wait for what was passed over because its key is parked.
            self.flush(runner).await;
        }
        projected
    }

    async fn project_all(
        &mut self,
        runner: &HandlerRunner,
        events: &[&RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let partitions = self.partitions();
        let mut rest = events;
        while !rest.is_empty() {
            runner.check(tenure)?;
            let (stretch, later) = rest.split_at(rest.len().min(self.size.events * partitions));
            let began = Instant::now();
            if partitions > 1 {
                self.project_partitions(runner, stretch, tenure).await?;
            }
            self.project_in_order(runner, stretch, tenure).await?;
            self.size.learn(stretch.len().div_ceil(partitions), began.elapsed());
            rest = later;
            if !self.is_rebuild() {
                runner.save_if_due(tenure).await?;
            }
            runner.heed(tenure).await?;
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    /// Projects those events of a stretch of which no rows are made, one batch after the other.
    async fn project_in_order(
        &mut self,
        runner: &HandlerRunner,
        stretch: &[&RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let left: Vec<_> = stretch.iter().copied().filter(|event| !self.made.contains(event)).collect();
        for batch in left.chunks(self.size.events) {
            runner.check(tenure)?;
            self.project(runner, batch, tenure).await?;
        }
        if let Some(last) = stretch.last() {
            runner.advance(last.position);
        }
        self.settle(runner, tenure).await
    }

    /// Projects a batch, however long it takes until the rows can be reached.
    async fn project(
        &mut self,
        runner: &HandlerRunner,
        events: &[&RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let Some(last) = events.last().map(|event| event.position) else { return Ok(()) };
        let mut backoff = Backoff::new();
        let mut has_waited = false;
        while let Some(batch) = self.batch_of(runner, events, tenure)? {
            match self.try_batch(runner, &batch, HandlerCommit::new().position(last)).await {
                Ok(made) => {
                    if has_waited {
                        runner.set_state(HandlerState::Running);
                    }
                    if let Some(at) = &mut self.at {
                        at.saved = made;
                    }
                    runner.advance(last);
                    return Ok(());
                }
                Err(Trouble::Fenced) => return Err(End::Yielded),
                Err(Trouble::Event(_)) => break,
                Err(Trouble::Rows(error)) => {
                    has_waited = true;
                    self.wait(runner, &error, &mut backoff, tenure).await?;
                    // It may have been committed all the same.
                    if self.claim(runner, tenure).await?.position >= last {
                        runner.set_state(HandlerState::Running);
                        runner.advance(last);
                        return Ok(());
                    }
                }
            }
        }
        for event in events {
            runner.check(tenure)?;
            runner.handle_one(self, event, tenure).await?;
            runner.advance(event.position);
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    /// The events that do not wait behind parked ones; `None` when one of them cannot be decoded.
    fn batch_of<'a>(
        &self,
        runner: &HandlerRunner,
        events: &[&'a RecordedEvent],
        tenure: &Tenure,
    ) -> Result<Option<Batch<'a, P::Event>>, End> {
        let mut batch = Batch::default();
        for event in events {
            if self.waits(runner, event, tenure) {
                runner.control.leave(event.position);
                continue;
            }
            let Some(projected) = self.projected(runner, event)? else { return Ok(None) };
            batch.projected.extend(projected);
            batch.events.push(event);
        }
        Ok(Some(batch))
    }

    /// What an event is decoded to; `None` when it cannot be.
    pub(crate) fn projected(
        &self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
    ) -> Result<Option<Vec<Projected<P::Event>>>, End> {
        let Some(context) = self.context(event, 1) else { return Err(End::Yielded) };
        let wanted = runner.wanted::<P::Event, P::Error>(event).ok();
        let projected = |typed| Projected::new(typed, context.clone());
        Ok(wanted.map(|wanted| wanted.into_iter().map(projected).collect()))
    }

    /// Writes the rows of a batch and what is `done` by that, in one transaction. Tells up to where rows are made then.
    pub(crate) async fn try_batch(
        &self,
        runner: &HandlerRunner,
        batch: &Batch<'_, P::Event>,
        done: HandlerCommit,
    ) -> Result<u64, Trouble> {
        let handed = batch.handed();
        let written = self.write_batch(runner, &batch.projected, done);
        match handed.is_empty() {
            true => written.await,
            false => telemetry::batch::observe(runner, &handed, written).await,
        }
    }

    async fn write_batch(
        &self,
        runner: &HandlerRunner,
        batch: &[Projected<P::Event>],
        done: HandlerCommit,
    ) -> Result<u64, Trouble> {
        let (mut transaction, from) = self.begin().await?;
        let last = done.position.unwrap_or(u64::MAX);
        if last <= from {
            // Appends were first.
            transaction.roll_back().await.map_err(Trouble::Rows)?;
            return Ok(from);
        }
        let new = &batch[batch.partition_point(|one| one.context.position() <= from)..];
        if let Some(first) = new.first() {
            let ambient = runner.ambient(first.context.recorded());
            let limit = runner.handling_limit;
            let handed = hand(&self.shared.projection, new, transaction.connection(), ambient, limit);
            if let Err(error) = handed.await {
                tracing::debug!(
                    cqrs.projection = &*self.shared.name,
                    error = error_text(&error),
                    "a batch failed, its events are projected one by one"
                );
                transaction.roll_back().await.map_err(Trouble::Rows)?;
                return Err(Trouble::Event(error.error_type()));
            }
        }
        let position = done.position;
        transaction.commit(from, done).await?;
        Ok(position.unwrap_or(from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_shrinks_when_it_is_slow_and_grows_again() {
        let mut size = BatchSize::LIVE;
        for _ in 0..20 {
            size.learn(size.events, Duration::from_millis(200));
        }
        assert_eq!(size.events, 1);
        size.learn(1, Duration::from_millis(40));
        assert_eq!(size.events, 1, "it takes about the time that it may");
        for _ in 0..20 {
            size.learn(size.events, Duration::from_millis(1));
        }
        assert_eq!(size.events, 500);
        size.learn(499, Duration::from_millis(1));
        assert_eq!(size.events, 500, "a batch that is not full says nothing");
    }
}
