//! A handler that is divided into another number of partitions than before goes on where its partitions were.

use serde::{Deserialize, Serialize};

use crate::handler::effects::EFFECT;
use crate::handler::order::{ORDER, Order};
use crate::handler::own_state::STATE;
use crate::handler::parked::PARKED;
use crate::handler::reset::HELD;
use crate::handler::{HandlerRunner, Partition, Role};
use crate::lease::Lease;
use crate::store::{CheckpointError, HandlerCommit, HandlerRecord, StoreError, all_records};

/// The record that tells how many partitions a handler has; one that was never divided has none.
const PARTITIONS: &str = "partitions";

#[derive(Serialize, Deserialize)]
struct Known {
    count: u16,
}

/// Why a handler cannot be divided anew.
pub(crate) enum RepartitionError {
    /// Another node runs it as it was divided before.
    InUse {
        before: u16,
        now: u16,
    },
    /// The old partitions have states of their own, which cannot be divided.
    KeepsState {
        before: u16,
        now: u16,
    },
    Store(StoreError),
}

impl From<StoreError> for RepartitionError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Sees to it that a handler's partitions, of which this runs the first, are those that there were, or begin where those
/// have come to.
///
/// What the old partitions keep goes last, behind the number: when this is interrupted, it is done again.
pub(crate) async fn repartition(first: &HandlerRunner) -> Result<(), RepartitionError> {
    if first.role != Role::Handler {
        return Ok(());
    }
    let now = first.partition.count;
    let before = match known(first).await? {
        Some(before) => before,
        None if now == 1 => return Ok(()),
        None if first.checkpoints.checkpoint(&first.handler).await?.is_some() => 1,
        None => return Ok(note(first, now).await?),
    };
    if before == now {
        return Ok(());
    }
    let (Some(old), Some(new)) = (lease_all(first, before).await?, lease_all(first, now).await?) else {
        return Err(RepartitionError::InUse { before, now });
    };
    if first.keeps_state && has_states(first, before).await? {
        return Err(RepartitionError::KeepsState { before, now });
    }
    let kept = Kept::of(first, &old).await?;
    for (partition, lease) in Partition::all(now).zip(&new) {
        clear(first, partition).await?;
        let commit = kept.share(partition)?;
        match first.checkpoints.commit(&partition.name(&first.handler), lease.epoch(), commit).await {
            Ok(()) => {}
            Err(CheckpointError::Fenced { .. }) => return Err(RepartitionError::InUse { before, now }),
            Err(error) => return Err(StoreError::from(error).into()),
        }
    }
    note(first, now).await?;
    for partition in Partition::all(before) {
        clear(first, partition).await?;
    }
    tracing::info!(
        cqrs.application = &*first.application,
        cqrs.handler = &*first.handler,
        cqrs.position = kept.position,
        "handler divided into {now} partitions instead of {before}"
    );
    Ok(())
}

/// How many partitions it has had, if it was ever divided.
async fn known(first: &HandlerRunner) -> Result<Option<u16>, StoreError> {
    let Some(record) = first.checkpoints.record(&first.handler, PARTITIONS, PARTITIONS).await? else {
        return Ok(None);
    };
    let known: Known = serde_json::from_slice(&record.data).map_err(|fault| {
        let handler = &first.handler;
        StoreError::Corrupt(format!("the partitions of handler {handler:?} cannot be read: {fault}").into())
    })?;
    Ok(Some(known.count))
}

async fn note(first: &HandlerRunner, count: u16) -> Result<(), StoreError> {
    let record = HandlerRecord {
        kind: PARTITIONS.into(),
        key: PARTITIONS.to_owned(),
        position: 0,
        due_at: None,
        data: serde_json::to_vec(&Known { count }).expect("a number is JSON").into(),
    };
    Ok(first.checkpoints.change_records(&first.handler, HandlerCommit::new().put(record)).await?)
}

/// Owns all partitions, so that nobody else does; `None` when somebody does.
async fn lease_all(first: &HandlerRunner, count: u16) -> Result<Option<Vec<Lease>>, StoreError> {
    let mut leases = Vec::new();
    for partition in Partition::all(count) {
        match first.leases.acquire(&partition.name(&first.handler)).await? {
            Some(lease) => leases.push(lease),
            None => return Ok(None),
        }
    }
    Ok(Some(leases))
}

/// Whether any of so many partitions has a state.
async fn has_states(first: &HandlerRunner, count: u16) -> Result<bool, StoreError> {
    for partition in Partition::all(count) {
        if first.checkpoints.record(&partition.name(&first.handler), STATE, STATE).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn clear(first: &HandlerRunner, partition: Partition) -> Result<(), StoreError> {
    let name = partition.name(&first.handler);
    let mut gone = HandlerCommit::new();
    for kind in [PARKED, EFFECT, ORDER, HELD, STATE] {
        for record in all_records(&*first.checkpoints, &name, kind).await? {
            gone = gone.remove(kind, record.key);
        }
    }
    first.checkpoints.change_records(&name, gone).await?;
    first.checkpoints.delete_checkpoint(&name).await
}

/// What the old partitions keep.
struct Kept {
    /// The lowest of their positions: nothing is passed over, and what others have handled beyond is handled again.
    position: u64,
    records: Vec<HandlerRecord>,
}

impl Kept {
    async fn of(first: &HandlerRunner, old: &[Lease]) -> Result<Self, StoreError> {
        let (mut positions, mut records) = (Vec::new(), Vec::new());
        for partition in Partition::all(u16::try_from(old.len()).unwrap_or(u16::MAX)) {
            let name = partition.name(&first.handler);
            positions.push(first.checkpoints.checkpoint(&name).await?.unwrap_or(first.start));
            for kind in [PARKED, EFFECT, ORDER] {
                records.extend(all_records(&*first.checkpoints, &name, kind).await?);
            }
        }
        Ok(Self { position: positions.into_iter().min().unwrap_or(first.start), records })
    }

    /// What of it is for a new partition. It cannot be told whose results of effects are: each one gets all, and forgets
    /// what it has no use for.
    fn share(&self, partition: Partition) -> Result<HandlerCommit, StoreError> {
        let is_of = |key: &str| Partition::of_key(key, partition.count) == partition;
        let mut share = HandlerCommit::new().position(self.position);
        for record in &self.records {
            let is_own = match &*record.kind {
                PARKED => is_of(&record.key),
                ORDER => match Order::of_record(record)? {
                    Order::RetryParked { key } | Order::SkipParked { key, .. } => is_of(&key),
                    Order::Reset { .. } => partition.index == 0,
                    Order::Pause | Order::Redeliver { .. } => true,
                    // The lowest position is that to which the others were to go.
                    Order::Hold { .. } | Order::ResetOthers { .. } => false,
                },
                _ => true,
            };
            if is_own {
                share = share.put(record.clone());
            }
        }
        Ok(share)
    }
}
