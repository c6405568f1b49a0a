use std::sync::Arc;

use crate::error_text::error_text;
use crate::handler::attempt::Failed;
use crate::handler::batch::Due;
use crate::handler::consumer::Consumer;
use crate::handler::partition::key_of;
use crate::handler::reaction::{Attempt, Reaction};
use crate::handler::start::Started;
use crate::handler::worker::End;
use crate::handler::{ErrorAction, EventHandler, HandlerRunner, HandlerState, Tenure};
use crate::store::{HandlerCommit, RecordedEvent, StoreError};
use crate::user_code;

/// Has an event handler react to events, one after the other.
pub(crate) struct Reactions<H> {
    pub(super) handler: Arc<H>,
    pub(super) started: Started,
    pub(super) due: Option<Due>,
}

impl<H> Reactions<H> {
    pub(crate) fn new(handler: Arc<H>) -> Self {
        Self { handler, started: Started::No, due: None }
    }
}

impl<H: EventHandler> Consumer for Reactions<H> {
    const TAKES_MANY: bool = H::BATCH_SIZE > 1;

    async fn begin(&mut self, _runner: &HandlerRunner, _tenure: &mut Tenure) -> Result<(), End> {
        self.started = Started::No;
        self.due = None;
        Ok(())
    }

    async fn get_ready(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<bool, End> {
        match self.try_to_start(runner, tenure).await {
            // It may be that it is told to begin anew.
            Err(End::Failed) => Ok(false),
            tried => tried,
        }
    }

    async fn tend(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        self.start_up(runner, tenure).await
    }

    async fn consume(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        if H::BATCH_SIZE > 1 {
            return self.consume_batches(runner, events, tenure).await;
        }
        for event in events {
            if event.position <= runner.position() || !runner.subscriber.wants(event) {
                continue;
            }
            runner.check(tenure)?;
            runner.handle_one(self, event, tenure).await?;
            runner.advance(event.position);
            runner.save_if_due(tenure).await?;
            runner.heed(tenure).await?;
            tokio::task::consume_budget().await;
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
        runner.retry_parked(self, key, with_first, done, tenure).await
    }

    async fn before_reset(
        &mut self,
        runner: &HandlerRunner,
        done: HandlerCommit,
    ) -> Result<HandlerCommit, String> {
        match user_code::call(runner.handling_limit, self.handler.before_reset()).await {
            Ok(Ok(())) => Ok(done),
            Ok(Err(error)) => Err(error_text(&error)),
            Err(cut_off) => Err(format!("before_reset {cut_off}")),
        }
    }

    fn begun_anew(&mut self, tenure: &mut Tenure) {
        Self::forget_state(tenure);
        self.due = None;
        if self.started == Started::Yes {
            self.started = Started::No;
        }
    }
}

impl<H: EventHandler> Reaction for Reactions<H> {
    async fn attempt(
        &mut self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        attempt: Attempt,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), Failed>, End> {
        let mut state = tenure.state.copy();
        if let Err(failed) = runner.attempt(&*self.handler, event, &mut state, attempt).await {
            return Ok(Err(failed));
        }
        self.keep_state(state, runner, done, tenure).await.map(Ok)
    }

    fn key_of(&self, runner: &HandlerRunner, event: &RecordedEvent) -> String {
        let context = || runner.context(event, 1);
        key_of::<H::Event>(&runner.registry, event, |typed| self.handler.partition_by(typed, &context()))
    }
}

impl HandlerRunner {
    /// Handles one event, again and again while its policy says so.
    pub(crate) async fn handle_one<R: Reaction>(
        &self,
        reaction: &mut R,
        event: &RecordedEvent,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        if reaction.waits(self, event, tenure) {
            self.control.leave(event.position);
            return Ok(());
        }
        let mut attempt = Attempt::FIRST;
        loop {
            let done = HandlerCommit::new().position(event.position);
            let Err(failed) = reaction.attempt(self, event, attempt, done, tenure).await? else {
                if attempt.first_failed_at.is_some() {
                    self.set_state(HandlerState::Running);
                }
                self.effects.done_with(event.position);
                return Ok(());
            };
            match failed.action {
                ErrorAction::Retry => tokio::task::yield_now().await,
                ErrorAction::RetryAfter(delay) => self.wait_to_retry(delay, tenure).await?,
                ErrorAction::Skip => {
                    self.set_state(HandlerState::Running);
                    self.effects.done_with(event.position);
                    return Ok(());
                }
                ErrorAction::Park => return self.park(reaction, event, &failed, tenure).await,
                ErrorAction::Stop => return Err(End::Failed),
            }
            self.check(tenure)?;
            attempt = Attempt { number: attempt.number + 1, first_failed_at: Some(failed.first_failed_at) };
        }
    }
}
