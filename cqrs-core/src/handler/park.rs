//! Parking: an event that cannot be handled waits, and the later ones of its key wait behind it, while others go on.

use crate::backoff::Backoff;
use crate::handler::attempt::Failed;
use crate::handler::parked::{PARKED, ParkedKeys};
use crate::handler::worker::End;
use crate::handler::{ErrorAction, EventHandler, HandlerRunner, HandlerState, ParkedKey, Tenure};
use crate::store::{CheckpointError, HandlerCommit, RecordedEvent, StoreError, all_records};

impl HandlerRunner {
    /// The keys that are parked.
    pub(crate) async fn parked_keys(&self) -> Result<ParkedKeys, StoreError> {
        let records = all_records(&*self.checkpoints, &self.name, PARKED).await?;
        let parked = records.into_iter().map(ParkedKey::of_record);
        parked.map(|one| one.map(|one| (one.key.clone(), one))).collect()
    }

    /// Whether the event waits behind one that is parked.
    pub(crate) fn waits<H: EventHandler>(&self, handler: &H, event: &RecordedEvent, tenure: &Tenure) -> bool {
        !tenure.parked.is_empty() && tenure.parked.contains_key(&self.key_of(handler, event))
    }

    /// Parks the key of an event that failed. That is on disk before anything else is handled.
    pub(crate) async fn park<H: EventHandler>(
        &self,
        handler: &H,
        event: &RecordedEvent,
        failed: &Failed,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        if tenure.parked.len() >= self.max_parked {
            tracing::error!(
                cqrs.application = &*self.application,
                cqrs.handler = &*self.name,
                cqrs.event_number = event.position,
                error = failed.text,
                "handler stopped: it has parked {} keys, and is not allowed more",
                self.max_parked
            );
            self.set_failure(HandlerState::Failed, &failed.text);
            return Err(End::Failed);
        }
        let parked = ParkedKey {
            key: self.key_of(handler, event),
            position: event.position,
            error: failed.text.clone(),
            attempts: failed.attempts,
            first_failed_at: failed.first_failed_at,
            parked_at: self.clock.now(),
        };
        tracing::error!(
            cqrs.application = &*self.application,
            cqrs.handler = &*self.name,
            cqrs.event_number = event.position,
            cqrs.key = parked.key,
            error = parked.error,
            "event parked: later events of its key wait behind it until somebody says what is to be done"
        );
        self.commit(HandlerCommit::new().put(parked.record()), tenure).await?;
        self.control.leave(event.position);
        tenure.parked.insert(parked.key.clone(), parked);
        self.set_parked(tenure);
        self.set_state(HandlerState::Running);
        Ok(())
    }

    /// Tries the events of a parked key again, in their order, up to where the handler has come. The first one that
    /// fails is parked again. What was `done` by that is written together with it.
    pub(crate) async fn retry_parked<H: EventHandler>(
        &self,
        handler: &H,
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
        if !with_first {
            self.control.make_up(parked.position);
            self.effects.done_with(parked.position);
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
                Err(error) => return Ok(Err(error)),
            };
            if page.read_to <= position {
                break;
            }
            for event in page.events.iter().take_while(|event| event.position <= until) {
                if self.key_of(handler, event) != key {
                    continue;
                }
                self.check(tenure)?;
                let earlier = (event.position == parked.position).then_some(&parked);
                let attempt = earlier.map_or(0, |parked| parked.attempts).saturating_add(1);
                let first_failed_at = earlier.map(|parked| parked.first_failed_at);
                let failed = match self.attempt(handler, event, attempt, first_failed_at).await {
                    Ok(()) | Err(Failed { action: ErrorAction::Skip, .. }) => {
                        self.control.make_up(event.position);
                        self.effects.done_with(event.position);
                        continue;
                    }
                    Err(failed) => failed,
                };
                let again = ParkedKey {
                    position: event.position,
                    error: failed.text,
                    attempts: failed.attempts,
                    first_failed_at: failed.first_failed_at,
                    parked_at: parked.parked_at,
                    ..parked
                };
                self.commit(done.put(again.record()), tenure).await?;
                tenure.parked.insert(key.to_owned(), again);
                self.set_state(HandlerState::Running);
                return Ok(Ok(()));
            }
            position = page.read_to;
        }
        self.commit(done.remove(PARKED, key), tenure).await?;
        tenure.parked.remove(key);
        self.set_parked(tenure);
        self.set_state(HandlerState::Running);
        tracing::info!(cqrs.handler = &*self.name, cqrs.key = key, "parked events handled");
        Ok(Ok(()))
    }

    /// Writes records, however long it takes the store. The checkpoint goes with them, since results of effects do, and
    /// what is handled twice has to find them.
    pub(crate) async fn commit(&self, commit: HandlerCommit, tenure: &Tenure) -> Result<(), End> {
        let position = commit.position.unwrap_or_else(|| self.position());
        let commit = commit.position(position);
        let mut backoff = Backoff::new();
        loop {
            let (commit, forgotten) = self.effects.forget(commit.clone());
            let committed = tokio::select! {
                biased;
                committed = self.write(commit, tenure) => committed,
                () = tenure.lease.over() => return Err(End::Over),
            };
            match committed {
                Ok(()) => {
                    self.effects.forgotten(&forgotten);
                    return Ok(());
                }
                Err(CheckpointError::Fenced { .. }) => {
                    tenure.lease.fence();
                    return Err(End::Over);
                }
                Err(CheckpointError::Store(error)) => {
                    tracing::warn!(
                        cqrs.handler = &*self.name,
                        error = &error as &dyn std::error::Error,
                        "what the handler keeps could not be written, trying again"
                    );
                    self.wait(backoff.pause(), tenure).await?;
                }
            }
        }
    }

    pub(crate) fn set_parked(&self, tenure: &Tenure) {
        self.progress.send_modify(|progress| progress.parked = tenure.parked.len());
    }
}
