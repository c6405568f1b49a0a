use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::backoff::Backoff;
use crate::handler::consumer::Consumer;
use crate::handler::spread::Seat;
use crate::handler::{HandlerRunner, HandlerState, Tenure};
use crate::store::{CheckpointError, HandlerCommit, StoreError};
use crate::subscription::{Ahead, Buffered, Page};
use crate::telemetry;

/// Why the handling of events ended.
pub(crate) enum End {
    /// The application is shutting down.
    Stopped,
    /// The handler gave up at an event.
    Failed,
    /// There is nothing to do for this node as the owner.
    Yielded,
    /// This node is not, or not for certain, the handler's owner any more.
    Over,
    /// Not really: there may be orders, which come before what was read and is not handled yet.
    Interrupted,
}

/// How often a handler that nothing wakes saves its checkpoint, so that a crash does not send it far back.
const IDLE_SAVE: Duration = Duration::from_secs(30);

impl HandlerRunner {
    /// Handles events, whenever this node is the handler's owner, until the application stops or the handler gives
    /// up. The lease is given back then, so that another node can go on, or try its luck.
    pub(crate) async fn run<C: Consumer>(self, consumer: &mut C) {
        while let Some(mut tenure) = self.own_in_turn(consumer).await {
            self.set_state(HandlerState::Running);
            let end = match consumer.begin(&self, &mut tenure).await {
                Ok(()) => self.run_tenure(consumer, &mut tenure).await,
                Err(end) => end,
            };
            // What was skipped while asleep counts as handled, so that a clean stop repeats nothing.
            if let Some(clear_to) = self.subscriber.get_up() {
                self.advance(clear_to);
            }
            match end {
                End::Stopped => {
                    let _ = consumer.finish(&self, &mut tenure).await;
                    let _ = self.save(&mut tenure).await;
                    break;
                }
                End::Failed => {
                    let _ = consumer.finish(&self, &mut tenure).await;
                    let _ = self.save(&mut tenure).await;
                    return self.progress.send_modify(|progress| progress.state = HandlerState::Failed);
                }
                End::Yielded => self.set_state(HandlerState::Passive),
                End::Over | End::Interrupted => {
                    consumer.dismissed();
                    self.set_state(HandlerState::Passive);
                    self.report_over(&tenure);
                }
            }
        }
        if self.progress.borrow().state != HandlerState::Failed {
            self.set_state(HandlerState::Stopped);
        }
    }

    async fn run_tenure<C: Consumer>(&self, consumer: &mut C, tenure: &mut Tenure) -> End {
        loop {
            match self.handle_all(consumer, tenure).await {
                Ok(never) => match never {},
                Err(End::Interrupted) => {}
                Err(end) => return end,
            }
        }
    }

    /// Whether to go on with the next event.
    pub(crate) fn check(&self, tenure: &Tenure) -> Result<(), End> {
        if self.stop.is_cancelled() {
            return Err(End::Stopped);
        }
        match tenure.lease.is_good() {
            true => Ok(()),
            false => Err(End::Over),
        }
    }

    async fn handle_all<C: Consumer>(
        &self,
        consumer: &mut C,
        tenure: &mut Tenure,
    ) -> Result<Infallible, End> {
        let mut backoff = Backoff::new();
        let mut ahead = None;
        loop {
            self.check(tenure)?;
            self.follow_orders(consumer, tenure).await?;
            consumer.tend(self, tenure).await?;
            let buffered = match C::TAKES_MANY {
                true => self.tail.page_after(&self.subscriber, self.position()),
                false => self.tail.after(&self.subscriber, self.position()),
            };
            match buffered {
                Buffered::Batch(batch) => {
                    consumer.consume(self, &batch.events, tenure).await?;
                    self.advance(batch.last);
                    self.give_up_surplus(tenure).await?;
                }
                Buffered::Behind => match self.catch_up(consumer, tenure, &mut ahead).await {
                    Ok(handled) => {
                        handled?;
                        self.give_up_surplus(tenure).await?;
                        backoff.reset();
                    }
                    Err(error) => {
                        tracing::warn!(
                            cqrs.handler = &*self.name,
                            error = &error as &dyn std::error::Error,
                            "the log could not be read, trying again"
                        );
                        self.wait(backoff.pause(), tenure).await?;
                    }
                },
                Buffered::AtEnd => {
                    self.save(tenure).await?;
                    self.give_up_surplus(tenure).await?;
                    let sleep = self.subscriber.sleep(self.position(), || self.tail.last());
                    let woken = tokio::select! {
                        biased;
                        () = self.stop.cancelled() => return Err(End::Stopped),
                        () = tenure.lease.over() => return Err(End::Over),
                        () = self.called(tenure) => None,
                        () = surplus(tenure) => None,
                        () = consumer.woken() => None,
                        woken = timeout(IDLE_SAVE, sleep) => woken.ok(),
                    };
                    // Not woken: it looks up to save how far the others' events have carried it, or to do what it was told.
                    if let Some(clear_to) = woken.or_else(|| self.subscriber.get_up()) {
                        self.advance(clear_to);
                    }
                }
            }
        }
    }

    /// Handles a page of the log that the handler reads by itself, and the following ones are read meanwhile.
    async fn catch_up<C: Consumer>(
        &self,
        consumer: &mut C,
        tenure: &mut Tenure,
        ahead: &mut Option<Ahead>,
    ) -> Result<Result<(), End>, StoreError> {
        let position = self.position();
        let page = tokio::select! {
            biased;
            page = self.page_behind(position, ahead) => page?,
            () = tenure.lease.over() => return Ok(Err(End::Over)),
        };
        if let Err(end) = consumer.consume(self, &page.log.events, tenure).await {
            return Ok(Err(end));
        }
        self.advance(page.log.read_to);
        Ok(Ok(()))
    }

    async fn page_behind(&self, position: u64, ahead: &mut Option<Ahead>) -> Result<Arc<Page>, StoreError> {
        if let Some(ahead) = ahead
            && let Some(page) = ahead.page(position).await
        {
            return Ok(page);
        }
        *ahead = None;
        let page = self.pages.behind(position).await?;
        *ahead = page.is_full.then(|| Ahead::behind(page.log.read_to, &self.pages));
        Ok(page)
    }

    /// Leaves the partition to another node if it is that one's share.
    pub(crate) async fn give_up_surplus(&self, tenure: &mut Tenure) -> Result<(), End> {
        match tenure.seat.as_mut().is_some_and(Seat::is_surplus) {
            true => {
                self.save(tenure).await?;
                Err(End::Yielded)
            }
            false => Ok(()),
        }
    }

    /// Waits, unless the application stops or the tenure ends meanwhile.
    pub(crate) async fn wait(&self, delay: Duration, tenure: &Tenure) -> Result<(), End> {
        tokio::select! {
            () = self.stop.cancelled() => Err(End::Stopped),
            () = tenure.lease.over() => Err(End::Over),
            () = tokio::time::sleep(delay) => Ok(()),
        }
    }

    /// Saves the checkpoint if it has moved far, or has not been saved for long.
    pub(crate) async fn save_if_due(&self, tenure: &mut Tenure) -> Result<(), End> {
        let unsaved = self.position().saturating_sub(tenure.tried);
        if unsaved >= self.checkpoint_every || tenure.tried_at.elapsed() >= self.checkpoint_interval {
            self.save(tenure).await?;
        }
        Ok(())
    }

    /// Saves the checkpoint if it has moved. When that fails, the next time is soon enough: at worst some
    /// events are handled again. When another node has taken the handler over, the tenure ends.
    pub(crate) async fn save(&self, tenure: &mut Tenure) -> Result<(), End> {
        let position = self.position();
        if position == tenure.saved || tenure.is_cut_off {
            return Ok(());
        }
        (tenure.tried, tenure.tried_at) = (position, Instant::now());
        let commit = self.with_state(HandlerCommit::new().position(position), tenure)?;
        let (commit, forgotten) = self.effects.forget(commit);
        let saved = tokio::select! {
            biased;
            saved = self.write(commit, tenure) => saved,
            () = tenure.lease.over() => return Err(End::Over),
        };
        match saved {
            Ok(()) => {
                tenure.saved = position;
                self.effects.forgotten(&forgotten);
            }
            Err(CheckpointError::Fenced { .. }) => {
                tenure.lease.fence();
                return Err(End::Over);
            }
            Err(error) => tracing::warn!(
                cqrs.handler = &*self.name,
                error = &error as &dyn std::error::Error,
                "the checkpoint could not be saved"
            ),
        }
        Ok(())
    }

    /// Writes as the owner. A position alone goes the cheaper way.
    pub(crate) async fn write(&self, commit: HandlerCommit, tenure: &Tenure) -> Result<(), CheckpointError> {
        let epoch = tenure.lease.epoch();
        match commit.position {
            Some(position) if commit.records.is_empty() => {
                self.checkpoints.save_checkpoint(&self.name, position, epoch).await
            }
            _ => {
                // It holds the state, if that has changed, or begins it anew.
                self.checkpoints.commit(&self.name, epoch, commit).await?;
                tenure.state.written();
                Ok(())
            }
        }
    }

    fn report_over(&self, tenure: &Tenure) {
        telemetry::lease::lost(self, tenure);
        let reason = match tenure.lease.is_fenced() {
            true => "another node has taken the handler over",
            false => "the handler's lease could not be renewed in time",
        };
        tracing::warn!(
            cqrs.application = &*self.application,
            cqrs.handler = &*self.name,
            cqrs.epoch = tenure.lease.epoch(),
            reason,
            "handler stopped for now"
        );
    }
}

/// Is ready when the partition is to be left to another node.
pub(crate) async fn surplus(tenure: &Tenure) {
    match &tenure.seat {
        Some(seat) => seat.surplus().await,
        None => std::future::pending().await,
    }
}
