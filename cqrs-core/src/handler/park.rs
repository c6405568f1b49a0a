//! Parking: an event that cannot be handled waits, and the later ones of its key wait behind it, while others go on.

use crate::backoff::Backoff;
use crate::handler::attempt::Failed;
use crate::handler::parked::{PARKED, ParkedKeys};
use crate::handler::reaction::Reaction;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, ParkedKey, Tenure};
use crate::store::{CheckpointError, HandlerCommit, RecordedEvent, StoreError, all_records};

/// What came of a commit that expects something.
#[must_use]
pub(crate) enum Committed {
    Written,
    /// Somebody else was first.
    Changed,
}

impl HandlerRunner {
    /// The keys that are parked.
    pub(crate) async fn parked_keys(&self) -> Result<ParkedKeys, StoreError> {
        let records = all_records(&*self.checkpoints, &self.name, PARKED).await?;
        let parked = records.into_iter().map(ParkedKey::of_record);
        parked.map(|one| one.map(|one| (one.key.clone(), one))).collect()
    }

    /// Parks the key of an event that failed. That is on disk before anything else is handled.
    pub(crate) async fn park<R: Reaction>(
        &self,
        reaction: &mut R,
        event: &RecordedEvent,
        failed: &Failed,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let parked = self.to_park(reaction.key_of(self, event), event.position, failed, tenure)?;
        reaction.keep(self, HandlerCommit::new().put(parked.record()), tenure).await?;
        self.has_parked(parked, tenure);
        Ok(())
    }

    /// Parks a key at a position.
    pub(crate) async fn park_key(
        &self,
        key: String,
        position: u64,
        failed: &Failed,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let parked = self.to_park(key, position, failed, tenure)?;
        self.commit(HandlerCommit::new().put(parked.record()), tenure).await?;
        self.has_parked(parked, tenure);
        Ok(())
    }

    /// What is to be written about a key that is going to be parked, unless there are too many.
    fn to_park(
        &self,
        key: String,
        position: u64,
        failed: &Failed,
        tenure: &Tenure,
    ) -> Result<ParkedKey, End> {
        self.may_park(&key, position, &failed.text, tenure)?;
        tracing::error!(
            cqrs.application = &*self.application,
            cqrs.handler = &*self.name,
            cqrs.event_number = position,
            cqrs.key = key,
            error = failed.text,
            "event parked: later events of its key wait behind it until somebody says what is to be done"
        );
        Ok(ParkedKey {
            key,
            position,
            error: failed.text.clone(),
            attempts: failed.attempts,
            first_failed_at: failed.first_failed_at,
            parked_at: self.clock.now(),
            retry_at: None,
        })
    }

    /// Whether one more key may be parked; otherwise the handler stops in front of the event.
    pub(crate) fn may_park(&self, key: &str, position: u64, error: &str, tenure: &Tenure) -> Result<(), End> {
        if tenure.parked.len() < self.max_parked || tenure.parked.contains_key(key) {
            return Ok(());
        }
        tracing::error!(
            cqrs.application = &*self.application,
            cqrs.handler = &*self.name,
            cqrs.event_number = position,
            error,
            "handler stopped: it has parked {} keys, and is not allowed more",
            self.max_parked
        );
        self.set_failure(HandlerState::Failed, &error);
        Err(End::Failed)
    }

    /// A key is parked, and that is written.
    fn has_parked(&self, parked: ParkedKey, tenure: &mut Tenure) {
        self.control.leave(parked.position);
        tenure.parked.insert(parked.key.clone(), parked);
        self.set_parked(tenure);
        self.set_state(HandlerState::Running);
    }

    /// Writes records, however long it takes the store. The checkpoint goes with them, since results of effects do, and
    /// what is handled twice has to find them.
    pub(crate) async fn commit(&self, commit: HandlerCommit, tenure: &Tenure) -> Result<(), End> {
        match self.commit_if(commit, tenure).await? {
            Committed::Written => Ok(()),
            // Whoever expects something asks for the answer. Otherwise what is in memory would not be what is written.
            Committed::Changed => Err(End::Over),
        }
    }

    /// [`HandlerRunner::commit`] of what may expect records to be as they were read. When one has changed, nothing is written,
    /// unless the store has failed before: then it may have been, and the change be its own.
    pub(crate) async fn commit_if(&self, commit: HandlerCommit, tenure: &Tenure) -> Result<Committed, End> {
        let position = commit.position.unwrap_or_else(|| self.position());
        let commit = self.with_state(commit.position(position), tenure)?;
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
                    return Ok(Committed::Written);
                }
                Err(CheckpointError::Fenced { .. }) => {
                    tenure.lease.fence();
                    return Err(End::Over);
                }
                Err(error @ CheckpointError::Changed { .. }) => {
                    tracing::debug!(
                        cqrs.handler = &*self.name,
                        error = &error as &dyn std::error::Error,
                        "somebody else was first"
                    );
                    return Ok(Committed::Changed);
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
