use std::convert::Infallible;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::handler::consumer::Consumer;
use crate::handler::order::{HOLD, ORDER, PAUSE, RESET};
use crate::handler::spread::Spread;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, LastTenure, Role, Tenure};
use crate::process_manager;
use crate::store::{CheckpointError, StoreError};
use crate::subscription::Buffered;
use crate::telemetry;

/// How often the owner's checkpoint is read while somebody waits for it: the pauses double while nothing moves.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_millis(320);

impl HandlerRunner {
    /// Decides for the first time who owns the handler, while the application starts: what is dispatched from
    /// then on is behind the place where a handler begins that starts from the present.
    pub(crate) async fn begin(&self) -> Result<(), StoreError> {
        match self.try_to_own().await {
            Ok(Some(begun)) => self.last_tenure().begun = Some(begun),
            Ok(None) => {
                self.set_state(HandlerState::Passive);
                self.follow_owner().await;
            }
            // The handler's own trouble, which it tells of when it runs.
            Err(StoreError::HistoryDiverged { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits until it is this node's turn to compete for the handler, and then until it owns it.
    pub(crate) async fn own_in_turn<C: Consumer>(&self, consumer: &mut C) -> Option<Tenure> {
        self.stop.run_until_cancelled(consumer.eligible(self)).await?;
        self.own().await
    }

    /// Goes to where a projection's rows are made, which the log's store does not know for certain.
    pub(crate) async fn begin_at(&self, position: u64, tenure: &mut Tenure) -> Result<(), End> {
        let mut backoff = Backoff::new();
        while let Err(error) = self.correct_checkpoint(position, tenure).await {
            if let StoreError::HistoryDiverged { .. } = error {
                tracing::error!(
                    cqrs.application = &*self.application,
                    cqrs.handler = &*self.name,
                    error = &error as &dyn std::error::Error,
                    "projection stopped: rebuild it, and start the application again"
                );
                self.set_failure(HandlerState::Failed, &error);
                return Err(End::Failed);
            }
            self.set_failure(HandlerState::Retrying, &error_text(&error));
            self.wait(backoff.pause(), tenure).await?;
        }
        self.progress.send_modify(|progress| progress.position = position);
        Ok(())
    }

    async fn correct_checkpoint(&self, position: u64, tenure: &mut Tenure) -> Result<(), StoreError> {
        if position > self.tail.last() {
            let head = self.store.head().await?;
            if position > head {
                let handler = self.name.as_ref().to_owned();
                return Err(StoreError::HistoryDiverged { handler, checkpoint: position, head });
            }
        }
        if tenure.saved > position {
            self.checkpoints.delete_checkpoint(&self.name).await?;
            (tenure.saved, tenure.tried) = (0, 0);
        }
        Ok(())
    }

    /// Waits until this node owns the handler; `None` when the application stops before, or the handler cannot run.
    pub(crate) async fn own(&self) -> Option<Tenure> {
        if let Some(begun) = self.last_tenure().begun.take() {
            return Some(begun);
        }
        if let Some(spread) = &self.spread {
            // What nobody takes for that long seems to be nobody's share.
            self.stop.run_until_cancelled(spread.room(self.leases.ttl())).await?;
        }
        let mut given_back = self.leases.watch();
        loop {
            given_back.mark_unchanged();
            let attempt = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                attempt = self.try_to_own() => attempt,
            };
            let is_owned = match attempt {
                Ok(Some(tenure)) => return Some(tenure),
                Ok(None) => {
                    self.set_state(HandlerState::Passive);
                    true
                }
                Err(error @ StoreError::HistoryDiverged { .. }) => {
                    tracing::error!(
                        cqrs.application = &*self.application,
                        cqrs.handler = &*self.name,
                        error = &error as &dyn std::error::Error,
                        "handler stopped: reset it, and start the application again"
                    );
                    self.set_failure(HandlerState::Failed, &error);
                    return None;
                }
                Err(error) => {
                    tracing::warn!(
                        cqrs.handler = &*self.name,
                        error = &error as &dyn std::error::Error,
                        "the handler's lease could not be asked for, trying again"
                    );
                    self.set_failure(HandlerState::Retrying, &error_text(&error));
                    false
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = sleep(self.leases.pause()) => {}
                // Not after a failure: this node may have given back the lease itself.
                () = changed(&mut given_back), if is_owned => {}
                never = self.stand_by() => match never {},
            }
        }
    }

    /// Takes the lease, and then reads where the last owner had come to; `None` while another node has it.
    async fn try_to_own(&self) -> Result<Option<Tenure>, StoreError> {
        let Some(lease) = self.leases.acquire(&self.name).await? else {
            return Ok(None);
        };
        let is_next = self.last_tenure().is_followed_by(lease.epoch());
        let saved = match self.checkpoints.checkpoint(&self.name).await? {
            Some(saved) => saved,
            // Saved at once: a handler that starts from the present begins there even when it is stopped, or
            // its node dies, before its first event.
            None => match self.checkpoints.save_checkpoint(&self.name, self.start, lease.epoch()).await {
                Ok(()) => self.start,
                Err(CheckpointError::Fenced { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            },
        };
        if matches!(self.role, Role::Handler | Role::ProcessManager) {
            self.check_history(saved).await?;
        }
        let parked = self.parked_keys().await?;
        // There may be orders from when nobody owned the handler.
        self.control.call();
        self.control.are_parked(parked.values().map(|parked| parked.position));
        self.effects.load(saved, parked.values()).await?;
        let unsent = self.first_unsent().await?;
        self.last_tenure().epoch = lease.epoch();
        self.progress.send_modify(|progress| {
            progress.position = match self.role {
                // Nobody came in between: what was handled since the checkpoint is not handled again.
                // Unless something was kept with it, which is what the store has.
                Role::Handler if is_next && !self.keeps_state => progress.position.max(saved),
                // What came of it is nowhere but in the store.
                Role::Handler | Role::ProcessManager => saved,
                // Known when the rows were asked.
                Role::Projection | Role::Build if is_next => progress.position,
                Role::Projection | Role::Build => 0,
            };
            progress.is_paused_elsewhere = false;
            progress.unsent = unsent;
            progress.parked = parked.len();
        });
        telemetry::lease::acquired(self);
        let seat = self.spread.as_ref().map(Spread::seat);
        Ok(Some(Tenure::new(lease, seat, saved, parked, self.leases.watch())))
    }

    /// That the log is not shorter than it was. Events would be passed over otherwise, as soon as it is as long again.
    async fn check_history(&self, checkpoint: u64) -> Result<(), StoreError> {
        // Where the log ended when the application started will do in most cases.
        if checkpoint <= self.tail.last() {
            return Ok(());
        }
        let head = self.store.head().await?;
        if checkpoint <= head {
            return Ok(());
        }
        let reset = [RESET, HOLD].map(str::to_owned);
        if !self.checkpoints.records_of(&self.name, ORDER, &reset).await?.is_empty() {
            return Ok(());
        }
        Err(StoreError::HistoryDiverged { handler: self.name.as_ref().to_owned(), checkpoint, head })
    }

    /// Keeps up with the owner, closely while somebody waits for the handler.
    pub(crate) async fn stand_by(&self) -> Infallible {
        let mut pause = FIRST_LOOK;
        loop {
            if self.follow_owner().await {
                pause = FIRST_LOOK;
            }
            if self.waiters.is_empty() {
                self.waiters.came().await;
                pause = FIRST_LOOK;
                continue;
            }
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_LOOK),
                () = self.waiters.came() => pause = FIRST_LOOK,
            }
        }
    }

    /// Reads how far the owner has come; tells whether that is further than before.
    async fn follow_owner(&self) -> bool {
        // What cannot be read is reported where the lease is asked for, which is soon.
        let Ok(paused) = self.checkpoints.record(&self.name, ORDER, PAUSE).await else { return false };
        let Ok(saved) = self.checkpoints.checkpoint(&self.name).await else { return false };
        let Ok(unsent) = self.first_unsent().await else { return false };
        let known = self.position();
        let position = match (saved, self.role) {
            // Earlier rows may have been given back to readers, and nobody may have told how far they are made.
            (saved, Role::Projection) => saved.map_or(0, |saved| self.clear_beyond(saved)),
            (Some(saved), _) => self.clear_beyond(saved).max(known),
            (None, _) => known,
        };
        self.set_unsent(unsent);
        let mut is_further = false;
        self.progress.send_if_modified(|progress| {
            is_further = position > progress.position;
            (progress.position, progress.is_paused_elsewhere) = (position, paused.is_some());
            progress.looks += 1;
            !self.waiters.is_empty()
        });
        is_further
    }

    /// The lowest position of which there are commands that are not carried out, as far as that is written. Read behind
    /// the checkpoint: what is found to be sent then belongs to events that are handled.
    async fn first_unsent(&self) -> Result<Option<u64>, StoreError> {
        if self.role != Role::ProcessManager {
            return Ok(None);
        }
        process_manager::first_unsent(&*self.checkpoints, &self.name).await
    }

    /// Up to where there is nothing behind `position` that the handler wants, as far as the buffer knows. An owner
    /// that only foreign events pass by does not save each step.
    fn clear_beyond(&self, mut position: u64) -> u64 {
        while let Buffered::Batch(batch) = self.tail.after(&self.subscriber, position) {
            let wanted = batch.events.iter().filter(|event| self.subscriber.wants(event));
            if let Some(next) = wanted.map(|event| event.position).find(|next| *next > position) {
                return next - 1;
            }
            position = batch.last;
        }
        position
    }

    pub(crate) fn last_tenure(&self) -> MutexGuard<'_, LastTenure> {
        self.last_tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Is ready when the value has changed; never when it cannot change any more.
async fn changed(watched: &mut watch::Receiver<u64>) {
    if watched.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
