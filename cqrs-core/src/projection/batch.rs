//! Several events in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::handler::reaction::Reaction as _;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, Tenure};
use crate::panics;
use crate::projection::projecting::{Projecting, Trouble};
use crate::projection::{Projected, Projection, ProjectionContext, RowTransaction};
use crate::store::{HandlerCommit, RecordedEvent};
use crate::telemetry;

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

impl<P: Projection> Projecting<P> {
    /// Projects events that follow each other in the log, in transactions of several.
    pub(crate) async fn consume_all(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let new = || {
            let position = runner.position();
            let is_new =
                move |event: &&RecordedEvent| event.position > position && runner.subscriber.wants(event);
            events.iter().filter(is_new).collect::<Vec<_>>()
        };
        let mut events = new();
        if self.is_inline() && !events.is_empty() {
            self.follow_appends(runner, tenure).await?;
            events = new();
        }
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            runner.check(tenure)?;
            let (batch, later) = rest.split_at(rest.len().min(self.size.events));
            let began = Instant::now();
            self.project(runner, batch, tenure).await?;
            self.size.learn(batch.len(), began.elapsed());
            rest = later;
            if !self.is_rebuild() {
                runner.save_if_due(tenure).await?;
            }
            tokio::task::consume_budget().await;
        }
        if self.is_inline() {
            // Appends wait for what was passed over because its key is parked.
            self.flush(runner).await;
        }
        Ok(())
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
        loop {
            let tried = self.try_batch(runner, events, last, tenure);
            match telemetry::batch::observe(runner, events, tried).await {
                Ok(()) => {
                    if has_waited {
                        runner.set_state(HandlerState::Running);
                    }
                    runner.advance(last);
                    return Ok(());
                }
                Err(Trouble::Fenced) => return Err(End::Yielded),
                Err(Trouble::Event) => break,
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

    async fn try_batch(
        &mut self,
        runner: &HandlerRunner,
        events: &[&RecordedEvent],
        last: u64,
        tenure: &Tenure,
    ) -> Result<(), Trouble> {
        let Some(at) = self.at.clone() else { return Err(Trouble::Fenced) };
        let mut batch = Vec::with_capacity(events.len());
        for event in events {
            if self.waits(runner, event, tenure) {
                runner.control.leave(event.position);
                continue;
            }
            let wanted = runner.wanted::<P::Event, P::Error>(event).map_err(|_| Trouble::Event)?;
            batch.extend(wanted.into_iter().map(|typed| {
                let context = ProjectionContext::new(RecordedEvent::clone(event), Arc::clone(&at.place), 1);
                Projected::new(typed, context)
            }));
        }
        let mut transaction = self.begin().await?;
        let from = self.at.as_ref().map_or(at.saved, |at| at.saved);
        if from >= last {
            // Appends were first.
            transaction.roll_back().await.map_err(Trouble::Rows)?;
            return Ok(());
        }
        batch.retain(|one| one.context.position() > from);
        if let (Some(first), false) = (events.first(), batch.is_empty()) {
            let work = self.shared.projection.handle_batch(&batch, transaction.connection());
            let failed = match panics::catch_async(Box::pin(runner.ambient(first).enter(work))).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error_text(&error)),
                Err(panic) => Some(panic),
            };
            if let Some(error) = failed {
                tracing::debug!(
                    cqrs.projection = &*self.shared.name,
                    error,
                    "a batch failed, its events are projected one by one"
                );
                transaction.roll_back().await.map_err(Trouble::Rows)?;
                return Err(Trouble::Event);
            }
        }
        transaction.commit(from, HandlerCommit::new().position(last)).await?;
        if let Some(at) = &mut self.at {
            at.saved = last;
        }
        Ok(())
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
