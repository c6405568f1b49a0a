use chrono::{DateTime, Utc};

use crate::handler::attempt::Failed;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, Tenure};
use crate::store::{HandlerCommit, RecordedEvent};

/// Reacts to single events: what retries and parking need of whoever handles events.
pub(crate) trait Reaction: Send {
    /// Tries to handle an event once; when that fails, tells what is to become of it. Who writes what it keeps
    /// together with what it does writes `done` then.
    fn attempt(
        &mut self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        attempt: Attempt,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<Result<(), Failed>, End>> + Send;

    /// What keeps the order of an event among others.
    fn key_of(&self, runner: &HandlerRunner, event: &RecordedEvent) -> String;

    /// Writes down which keys are parked, however long that takes, and has it on disk when it is done.
    fn keep(
        &mut self,
        runner: &HandlerRunner,
        commit: HandlerCommit,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<(), End>> + Send {
        async { runner.commit(commit, tenure).await }
    }

    /// Whether the event waits behind one that is parked.
    fn waits(&self, runner: &HandlerRunner, event: &RecordedEvent, tenure: &Tenure) -> bool {
        !tenure.parked.is_empty() && tenure.parked.contains_key(&self.key_of(runner, event))
    }
}

/// Which attempt at an event it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) number: u32,
    pub(crate) first_failed_at: Option<DateTime<Utc>>,
}

impl Attempt {
    pub(crate) const FIRST: Self = Self { number: 1, first_failed_at: None };
}
