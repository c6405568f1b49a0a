//! What comes before the first event: the handler's own `init`, once an application, its state and `after_start`, once a
//! tenure.

use std::error::Error;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::handler::own_state::StateRead;
use crate::handler::react::Reactions;
use crate::handler::worker::End;
use crate::handler::{EventHandler, HandlerRunner, HandlerState, StartContext, Tenure};
use crate::user_code::{self, CutOff};

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
    /// It took longer than [`Config::handling_limit`](crate::application::Config::handling_limit), which is given here.
    #[error("init took longer than {0:?}")]
    TimedOut(Duration),
}

/// Prepares a handler, before anything runs.
pub(crate) async fn init<H: EventHandler>(handler: &H, limit: Duration) -> Result<(), InitError> {
    match user_code::call(limit, async { handler.init().await }).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(InitError::Failed(Box::new(error))),
        Err(CutOff::Panicked(panic)) => Err(InitError::Panicked(panic)),
        Err(CutOff::TimedOut(limit)) => Err(InitError::TimedOut(limit)),
    }
}

/// Whether the handler has started in this tenure, and since it began anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Started {
    #[default]
    No,
    Failed,
    Yes,
}

impl<H: EventHandler> Reactions<H> {
    /// Starts, however often that fails. A pause or a reset does not wait for it.
    pub(super) async fn start_up(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        let mut backoff = Backoff::new();
        while !self.try_to_start(runner, tenure).await? {
            runner.give_up_surplus(tenure).await?;
            runner.wait_to_retry(backoff.pause(), tenure).await?;
        }
        Ok(())
    }

    /// Reads the handler's state and calls `after_start`, if that has not been done; tells whether it is done.
    pub(super) async fn try_to_start(
        &mut self,
        runner: &HandlerRunner,
        tenure: &Tenure,
    ) -> Result<bool, End> {
        if self.started == Started::Yes {
            return Ok(true);
        }
        let error = match self.read_state(runner, tenure).await {
            StateRead::Known => self.after_start(runner, tenure).await?,
            StateRead::Later(error) => Some(error_text(&error)),
            StateRead::Never(end) => {
                self.started = Started::Failed;
                return Err(end);
            }
        };
        let state = |otherwise| if tenure.is_paused { HandlerState::Paused } else { otherwise };
        let Some(error) = error else {
            if self.started == Started::Failed {
                runner.set_state(state(HandlerState::Running));
            }
            self.started = Started::Yes;
            return Ok(true);
        };
        tracing::warn!(
            cqrs.application = &*runner.application,
            cqrs.handler = &*runner.name,
            error,
            "the handler could not start, trying again"
        );
        self.started = Started::Failed;
        runner.set_failure(state(HandlerState::Retrying), &error);
        Ok(false)
    }

    /// Calls `after_start`; gives why it did not pass.
    async fn after_start(&self, runner: &HandlerRunner, tenure: &Tenure) -> Result<Option<String>, End> {
        let context = StartContext::of(runner);
        let after_start = async { self.handler.after_start(&context).await };
        tokio::select! {
            biased;
            () = runner.stop.cancelled() => Err(End::Stopped),
            () = tenure.lease.over() => Err(End::Over),
            started = user_code::call(runner.handling_limit, after_start) => Ok(match started {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error_text(&error)),
                Err(cut_off) => Some(format!("after_start {cut_off}")),
            }),
        }
    }
}
