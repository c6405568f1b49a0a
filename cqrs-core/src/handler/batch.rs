//! Several events at once, acknowledged together.

use tokio::time::{Instant, sleep_until};

use crate::error_text::error_text;
use crate::handler::react::Reactions;
use crate::handler::reaction::Reaction as _;
use crate::handler::worker::{End, surplus};
use crate::handler::{Envelope, EventHandler, HandlerError, HandlerRunner, Tenure};
use crate::store::{HandlerCommit, RecordedEvent};
use crate::subscription::Buffered;
use crate::telemetry;
use crate::user_code;

/// When a batch that waits to become full goes as it is. It is read again when there are orders in between, and does not
/// wait longer for that.
pub(crate) struct Due {
    first: u64,
    at: Instant,
}

impl<H: EventHandler> Reactions<H> {
    /// Handles events that follow each other in the log, in batches.
    pub(crate) async fn consume_batches(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let mut queue = Vec::new();
        take_wanted(runner, events, runner.position(), &mut queue);
        while !queue.is_empty() {
            self.fill(runner, &mut queue, tenure).await?;
            self.due = None;
            let later = queue.split_off(batch_size::<H>(&queue, tenure));
            let batch = std::mem::replace(&mut queue, later);
            runner.check(tenure)?;
            self.handle_together(runner, &batch, tenure).await?;
            runner.save_if_due(tenure).await?;
            runner.heed(tenure).await?;
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    /// Waits for more events while there are fewer than a batch may have, as long as the handler lets them wait.
    async fn fill(
        &mut self,
        runner: &HandlerRunner,
        queue: &mut Vec<RecordedEvent>,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        if H::BATCH_TIME.is_zero() {
            return Ok(());
        }
        let Some(deadline) = self.deadline(queue) else { return Ok(()) };
        let mut position = queue.last().map_or_else(|| runner.position(), |last| last.position);
        while queue.len() < H::BATCH_SIZE {
            match runner.tail.after(&runner.subscriber, position) {
                Buffered::Batch(batch) => {
                    take_wanted(runner, &batch.events, position, queue);
                    position = batch.last;
                }
                // There is more to come without waiting.
                Buffered::Behind => return Ok(()),
                Buffered::AtEnd => tokio::select! {
                    biased;
                    () = runner.stop.cancelled() => return Err(End::Stopped),
                    () = tenure.lease.over() => return Err(End::Over),
                    () = sleep_until(deadline) => return Ok(()),
                    () = runner.called(tenure) => return Err(End::Interrupted),
                    () = surplus(tenure) => return runner.give_up_surplus(tenure).await,
                    () = runner.subscriber.woken() => {}
                },
            }
        }
        Ok(())
    }

    fn deadline(&mut self, queue: &[RecordedEvent]) -> Option<Instant> {
        let first = queue.first()?.position;
        if let Some(due) = self.due.as_ref().filter(|due| due.first == first) {
            return Some(due.at);
        }
        let at = Instant::now().checked_add(H::BATCH_TIME)?;
        self.due = Some(Due { first, at });
        Some(at)
    }

    /// Hands events to the handler at once; when it fails, one by one, each with retries of its own.
    async fn handle_together(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        if self.try_together(runner, events, tenure).await? {
            for event in events {
                runner.effects.done_with(event.position);
                runner.advance(event.position);
            }
            return Ok(());
        }
        for event in events {
            runner.check(tenure)?;
            runner.handle_one(self, event, tenure).await?;
            runner.advance(event.position);
            runner.heed(tenure).await?;
            tokio::task::consume_budget().await;
        }
        Ok(())
    }

    /// Whether all went well.
    async fn try_together(
        &self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<bool, End> {
        let (mut handed, mut batch) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        for event in events {
            if self.waits(runner, event, tenure) {
                runner.control.leave(event.position);
                continue;
            }
            let Ok(wanted) = runner.wanted::<H::Event, H::Error>(event) else { return Ok(false) };
            if !wanted.is_empty() {
                handed.push(event);
            }
            let context = |ordinal| runner.context(event, 1).of_value(ordinal);
            batch.extend((0..).zip(wanted).map(|(ordinal, typed)| Envelope::new(typed, context(ordinal))));
        }
        let (Some(first), Some(last)) = (handed.first(), events.last()) else { return Ok(true) };
        let mut state = tenure.state.copy();
        let work = async {
            let work = Box::pin(runner.ambient(first).enter(self.handler.handle_batch(&batch, &mut state)));
            user_code::call(runner.handling_limit, work).await?.map_err(HandlerError::Failed)
        };
        let Err(error) = telemetry::batch::observe(runner, &handed, work).await else {
            let done = HandlerCommit::new().position(last.position);
            return self.keep_state(state, runner, done, tenure).await.map(|()| true);
        };
        tracing::debug!(
            cqrs.handler = &*runner.name,
            error = error_text(&error),
            "a batch failed, its events are handled one by one"
        );
        Ok(false)
    }
}

/// How many events go together: those that have changed the handler's state, and are handled again, by themselves.
fn batch_size<H: EventHandler>(queue: &[RecordedEvent], tenure: &Tenure) -> usize {
    let size = queue.len().min(H::BATCH_SIZE);
    match queue[..size].partition_point(|event| tenure.state.has_seen(event.position)) {
        0 => size,
        seen => seen,
    }
}

/// Takes the events of a stretch of the log behind a position.
fn take_wanted(
    runner: &HandlerRunner,
    events: &[RecordedEvent],
    position: u64,
    queue: &mut Vec<RecordedEvent>,
) {
    let is_wanted = |event: &&RecordedEvent| event.position > position && runner.subscriber.wants(event);
    queue.extend(events.iter().filter(is_wanted).cloned());
}
