//! What comes before the first event: the handler's own `init`, once an application, and `after_start`, once a tenure.

use std::error::Error;

use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::handler::react::Reactions;
use crate::handler::worker::End;
use crate::handler::{EventHandler, HandlerRunner, HandlerState, StartContext, Tenure};
use crate::panics;

/// Why a handler's [`init`](EventHandler::init) did not pass.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// It said so.
    #[error("init failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// It panicked.
    #[error("init panicked: {0}")]
    Panicked(String),
}

/// Prepares a handler, before anything runs.
pub(crate) async fn init<H: EventHandler>(handler: &H) -> Result<(), InitError> {
    match panics::catch_async(async { handler.init().await }).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(InitError::Failed(Box::new(error))),
        Err(panic) => Err(InitError::Panicked(panic)),
    }
}

/// Whether `after_start` has passed in this tenure, and since the handler began anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Started {
    #[default]
    No,
    Failed,
    Yes,
}

impl<H: EventHandler> Reactions<H> {
    /// Calls `after_start` until it passes. A pause or a reset does not wait for that.
    pub(super) async fn start_up(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        let mut backoff = Backoff::new();
        while !self.try_to_start(runner, tenure).await? {
            runner.give_up_surplus(tenure).await?;
            runner.wait_to_retry(backoff.pause(), tenure).await?;
        }
        Ok(())
    }

    /// Calls `after_start` if it has not passed; tells whether it has.
    pub(super) async fn try_to_start(
        &mut self,
        runner: &HandlerRunner,
        tenure: &Tenure,
    ) -> Result<bool, End> {
        if self.started == Started::Yes {
            return Ok(true);
        }
        let state = |otherwise| if tenure.is_paused { HandlerState::Paused } else { otherwise };
        let context = StartContext::of(runner);
        let started = panics::catch_async(async { self.handler.after_start(&context).await });
        let started = tokio::select! {
            biased;
            () = runner.stop.cancelled() => return Err(End::Stopped),
            () = tenure.lease.over() => return Err(End::Over),
            started = started => started,
        };
        let error = match started {
            Ok(Ok(())) => {
                if self.started == Started::Failed {
                    runner.set_state(state(HandlerState::Running));
                }
                self.started = Started::Yes;
                return Ok(true);
            }
            Ok(Err(error)) => error_text(&error),
            Err(panic) => format!("after_start panicked: {panic}"),
        };
        tracing::warn!(
            cqrs.application = &*runner.application,
            cqrs.handler = &*runner.name,
            error,
            "after_start did not pass, trying again"
        );
        self.started = Started::Failed;
        runner.set_failure(state(HandlerState::Retrying), &error);
        Ok(false)
    }
}
