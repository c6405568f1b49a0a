//! Parked events are tried again, in their order, when somebody says so.

use crate::handler::attempt::Failed;
use crate::handler::parked::PARKED;
use crate::handler::reaction::{Attempt, Reaction};
use crate::handler::worker::End;
use crate::handler::{ErrorAction, HandlerRunner, HandlerState, ParkedKey, Tenure};
use crate::store::{HandlerCommit, RecordedEvent, StoreError};

/// Tries what was parked again: the part in which publishers differ from whoever reacts to events.
pub(crate) trait Retry: Send {
    /// Tries what an event has that waits for a parked key, and tells whether there was anything; when that fails, tells
    /// what is to become of it.
    fn retry(
        &mut self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        parked: &ParkedKey,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<Result<bool, Failed>, End>> + Send;

    /// Writes down what has become of the key, however long that takes.
    fn note(
        &mut self,
        runner: &HandlerRunner,
        commit: HandlerCommit,
        tenure: &mut Tenure,
    ) -> impl Future<Output = Result<(), End>> + Send;
}

impl<R: Reaction> Retry for R {
    async fn retry(
        &mut self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        parked: &ParkedKey,
        tenure: &mut Tenure,
    ) -> Result<Result<bool, Failed>, End> {
        if self.key_of(runner, event) != parked.key {
            return Ok(Ok(false));
        }
        let earlier = parked.earlier(event);
        let attempt = Attempt {
            number: earlier.map_or(0, |parked| parked.attempts).saturating_add(1),
            first_failed_at: earlier.map(|parked| parked.first_failed_at),
        };
        // If this is the last that is done, the next retry begins behind it.
        let made_up = HandlerCommit::new().put(parked.behind(event.position).record());
        match self.attempt(runner, event, attempt, made_up, tenure).await? {
            Ok(()) | Err(Failed { action: ErrorAction::Skip, .. }) => {
                runner.control.make_up(event.position);
                Ok(Ok(true))
            }
            Err(failed) => Ok(Err(failed)),
        }
    }

    async fn note(
        &mut self,
        runner: &HandlerRunner,
        commit: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        self.keep(runner, commit, tenure).await
    }
}

impl HandlerRunner {
    /// Tries the events of a parked key again, in their order, up to where the handler has come; the first one only if
    /// `with_first`. The first one that fails is parked again. What was `done` by that is written together with it.
    pub(crate) async fn retry_parked<R: Retry>(
        &self,
        retry: &mut R,
        key: &str,
        with_first: bool,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        let Some(parked) = tenure.parked.get(key).cloned() else {
            self.commit(done, tenure).await?;
            return Ok(Ok(()));
        };
        let until = self.position();
        let mut position = parked.position - 1;
        // Their results go with what says that they are handled, and not before.
        let mut handled = Vec::new();
        if !with_first {
            self.control.make_up(parked.position);
            handled.push(parked.position);
            position = parked.position;
        }
        while position < until {
            let page = tokio::select! {
                biased;
                page = self.store.read_log(position, &self.subscriber.filter, self.page) => page,
                () = tenure.lease.over() => return Err(End::Over),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    if position >= parked.position {
                        // The order stands: it goes on behind what was handled.
                        let behind = parked.behind(position);
                        self.done_with_all(&handled);
                        retry.note(self, HandlerCommit::new().put(behind.record()), tenure).await?;
                        tenure.parked.insert(key.to_owned(), behind);
                    }
                    return Ok(Err(error));
                }
            };
            if page.read_to <= position {
                break;
            }
            for event in page.events.iter().take_while(|event| event.position <= until) {
                self.check(tenure)?;
                let failed = match retry.retry(self, event, &parked, tenure).await? {
                    Ok(is_handled) => {
                        handled.extend(is_handled.then_some(event.position));
                        continue;
                    }
                    Err(failed) => failed,
                };
                let again = ParkedKey {
                    position: event.position,
                    error: failed.text,
                    attempts: failed.attempts,
                    first_failed_at: failed.first_failed_at,
                    ..parked
                };
                self.done_with_all(&handled);
                retry.note(self, done.put(again.record()), tenure).await?;
                tenure.parked.insert(key.to_owned(), again);
                self.set_state(HandlerState::Running);
                return Ok(Ok(()));
            }
            position = page.read_to;
        }
        self.done_with_all(&handled);
        retry.note(self, done.remove(PARKED, key), tenure).await?;
        tenure.parked.remove(key);
        self.set_parked(tenure);
        self.set_state(HandlerState::Running);
        tracing::info!(cqrs.handler = &*self.name, cqrs.key = key, "parked events handled");
        Ok(Ok(()))
    }

    fn done_with_all(&self, positions: &[u64]) {
        positions.iter().for_each(|position| self.effects.done_with(*position));
    }
}
