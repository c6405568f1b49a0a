//! Beginning anew. A handler that is divided begins anew as a whole: its first partition has the others stop, asks the
//! handler, and lets them begin when it has begun itself. Each step is written down, so that whoever owns a partition next
//! goes on with it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::handler::consumer::Consumer;
use crate::handler::order::{HOLD, ORDER, Order, RESET, Round};
use crate::handler::own_state::STATE;
use crate::handler::parked::PARKED;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, StartFrom, Tenure};
use crate::store::{HandlerCommit, HandlerRecord, StoreError};

/// The record by which a partition says that it handles nothing.
pub(crate) const HELD: &str = "held";

/// For which time that is.
#[derive(Serialize, Deserialize)]
struct Held {
    round: Round,
}

impl Held {
    fn record(round: &Round) -> HandlerRecord {
        let held = Self { round: round.clone() };
        HandlerRecord {
            kind: HELD.into(),
            key: HELD.to_owned(),
            position: 0,
            due_at: None,
            data: serde_json::to_vec(&held).expect("an id is JSON").into(),
        }
    }

    fn is_for(record: &HandlerRecord, round: &Round) -> bool {
        serde_json::from_slice::<Self>(&record.data).is_ok_and(|held| held.round == *round)
    }
}

impl HandlerRunner {
    /// Begins anew, or does the next step to it; tells whether there is nothing left to wait for.
    pub(crate) async fn begin_anew<C: Consumer>(
        &self,
        consumer: &mut C,
        to: Option<u64>,
        round: Round,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<bool, StoreError>, End> {
        if self.partition.index > 0 {
            return self.begin_anew_with_others(consumer, to, &round, done, tenure).await;
        }
        match self.hold_others(&round).await {
            Ok(true) => {}
            waiting => return Ok(waiting),
        }
        let cleared = match consumer.before_reset(self, done.clone()).await {
            Ok(cleared) => cleared,
            Err(error) => {
                tracing::error!(
                    cqrs.handler = &*self.handler,
                    error,
                    "the handler refused to be reset and goes on"
                );
                for other in self.others() {
                    let free = HandlerCommit::new().remove(ORDER, HOLD).remove(HELD, HELD);
                    if let Err(error) = self.checkpoints.change_records(&other, free).await {
                        return Ok(Err(error.into()));
                    }
                }
                self.commit(done, tenure).await?;
                self.set_failure(HandlerState::Running, &error);
                return Ok(self.leases.call_owners().await.map(|()| true));
            }
        };
        let position = match (to, self.start_from) {
            (Some(position), _) | (None, StartFrom::Position(position)) => position,
            (None, StartFrom::Origin) => 0,
            (None, StartFrom::Current) => match self.store.head().await {
                Ok(head) => head,
                Err(error) => return Ok(Err(error)),
            },
        };
        if self.partition.count == 1 {
            return Ok(self.forget(consumer, position, cleared, tenure).await?.map(|()| true));
        }
        let next = Order::ResetOthers { to: Some(position), round: round.clone() };
        if let Err(error) = self.forget(consumer, position, cleared.put(next.record()), tenure).await? {
            return Ok(Err(error));
        }
        let done = HandlerCommit::new().remove(ORDER, RESET);
        Ok(self.reset_others(Some(position), &round, done, tenure).await?.map(|()| true))
    }

    /// The other partitions are to begin anew, those that have not yet.
    pub(crate) async fn reset_others(
        &self,
        to: Option<u64>,
        round: &Round,
        done: HandlerCommit,
        tenure: &Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        for other in self.others() {
            let told = async {
                if self.is_held(&other, round).await? {
                    let reset = Order::Reset { to, round: round.clone() };
                    self.checkpoints.change_records(&other, HandlerCommit::new().put(reset.record())).await?;
                }
                Ok(())
            };
            if let Err(error) = told.await {
                return Ok(Err(error));
            }
        }
        self.commit(done, tenure).await?;
        Ok(self.leases.call_owners().await)
    }

    /// Says that this partition handles nothing.
    pub(crate) async fn hold(&self, round: &Round, tenure: &Tenure) -> Result<(), StoreError> {
        if tenure.is_held {
            return Ok(());
        }
        self.checkpoints.change_records(&self.name, HandlerCommit::new().put(Held::record(round))).await?;
        self.leases.call_owners().await
    }

    /// The first partition has begun anew, or begins anew for the second time: only what was held for it counts.
    async fn begin_anew_with_others<C: Consumer>(
        &self,
        consumer: &mut C,
        to: Option<u64>,
        round: &Round,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<bool, StoreError>, End> {
        match self.is_held(&self.name, round).await {
            Ok(true) => {
                let done = done.remove(ORDER, HOLD).remove(HELD, HELD);
                Ok(self.forget(consumer, to.unwrap_or_default(), done, tenure).await?.map(|()| true))
            }
            Ok(false) => {
                self.commit(done, tenure).await?;
                Ok(Ok(true))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    /// Has the other partitions stop; tells whether all have.
    async fn hold_others(&self, round: &Round) -> Result<bool, StoreError> {
        let (mut are_held, mut are_told) = (true, false);
        for other in self.others() {
            if self.is_held(&other, round).await? {
                continue;
            }
            are_held = false;
            let hold = Order::Hold { round: round.clone() }.record();
            if self.checkpoints.record(&other, ORDER, HOLD).await?.is_none_or(|known| known.data != hold.data)
            {
                self.checkpoints.change_records(&other, HandlerCommit::new().put(hold)).await?;
                are_told = true;
            }
        }
        if are_told {
            self.leases.call_owners().await?;
        }
        Ok(are_held)
    }

    async fn is_held(&self, name: &str, round: &Round) -> Result<bool, StoreError> {
        let held = self.checkpoints.record(name, HELD, HELD).await?;
        Ok(held.is_some_and(|held| Held::is_for(&held, round)))
    }

    fn others(&self) -> impl Iterator<Item = Arc<str>> {
        self.partition.others().map(|other| other.name(&self.handler))
    }

    /// Forgets how far the handler has come, what is parked and what effects were made. When this is interrupted, it is
    /// done again: the order goes last.
    async fn forget<C: Consumer>(
        &self,
        consumer: &mut C,
        position: u64,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        if let Err(error) = self.checkpoints.delete_checkpoint(&self.name).await {
            return Ok(Err(error));
        }
        self.effects.done_with_all();
        let done = done.position(position).remove(STATE, STATE);
        let done = tenure.parked.keys().fold(done, |done, key| done.remove(PARKED, key));
        self.commit_or_end(done, tenure).await?;
        consumer.begun_anew(tenure);
        tenure.parked.clear();
        (tenure.saved, tenure.tried) = (position, position);
        self.control.forget_left();
        self.progress.send_modify(|progress| {
            progress.position = position;
            progress.parked = 0;
        });
        tracing::info!(cqrs.handler = &*self.name, cqrs.position = position, "handler reset");
        Ok(Ok(()))
    }
}
