//! How the partitions of a handler spread over the nodes: each node says that it is there, and gives up what it owns
//! beyond its share when another one wants it. Who owns what is told by the leases alone; if this is wrong, the work is
//! shared badly, and no worse.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::application::Supervised;
use crate::lease::Leases;
use crate::store::{CheckpointStore, HandlerCommit, HandlerRecord, StoreError, all_records};

/// The records by which nodes say that they are there; they are due when they are not any more.
const NODE: &str = "node";

#[derive(Default, Serialize, Deserialize)]
struct Presence {
    /// How many partitions the node would take.
    wants: usize,
}

/// The share of this node in the partitions of a handler.
pub(crate) struct Spread {
    handler: Arc<str>,
    count: usize,
    share: watch::Sender<Share>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    owned: usize,
    limit: usize,
    /// How many others would take.
    wanted: usize,
}

impl Share {
    fn has_surplus(&self) -> bool {
        self.owned > self.limit && self.wanted > 0
    }
}

/// A partition that this node owns, as long as it lives.
pub(crate) struct Seat {
    spread: Arc<Spread>,
    is_given_up: bool,
}

impl Spread {
    pub(crate) fn new(handler: Arc<str>, partitions: u16) -> Self {
        let count = usize::from(partitions);
        let share = Share { owned: 0, limit: count, wanted: 0 };
        Self { handler, count, share: watch::Sender::new(share) }
    }

    pub(crate) fn seat(self: &Arc<Self>) -> Seat {
        self.share.send_modify(|share| share.owned += 1);
        Seat { spread: Arc::clone(self), is_given_up: false }
    }

    /// Waits for room for one more, or so long that nobody else seems to take it.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn room(&self, patience: Duration) {
        let mut share = self.share.subscribe();
        let _ = timeout(patience, share.wait_for(|share| share.owned < share.limit)).await;
    }

    /// Looks which nodes there are; tells how many partitions this one would take.
    async fn look(&self, checkpoints: &dyn CheckpointStore, own: &str) -> Result<usize, StoreError> {
        let now = Utc::now();
        let (mut nodes, mut wanted, mut gone) = (1, 0, HandlerCommit::new());
        for record in all_records(checkpoints, &self.handler, NODE).await? {
            if record.key == own {
                continue;
            }
            if record.due_at.is_none_or(|until| until < now) {
                gone = gone.remove(NODE, record.key);
                continue;
            }
            nodes += 1;
            let presence: Presence = serde_json::from_slice(&record.data).unwrap_or_default();
            wanted += presence.wants;
        }
        if !gone.records.is_empty() {
            checkpoints.change_records(&self.handler, gone).await?;
        }
        let limit = self.count.div_ceil(nodes);
        self.share.send_modify(|share| (share.limit, share.wanted) = (limit, wanted));
        Ok(limit.saturating_sub(self.share.borrow().owned))
    }
}

impl Seat {
    /// Is ready when it may have to be given up.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn surplus(&self) {
        let mut share = self.spread.share.subscribe();
        // It is not gone as long as this is here.
        let _ = share.wait_for(Share::has_surplus).await;
    }

    /// Whether it is to be given up, so that another node can take the partition.
    pub(crate) fn is_surplus(&mut self) -> bool {
        self.is_given_up |= self.spread.share.send_if_modified(|share| {
            let is_surplus = share.has_surplus();
            if is_surplus {
                share.owned -= 1;
                share.wanted -= 1;
            }
            is_surplus
        });
        self.is_given_up
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_given_up {
            self.spread.share.send_modify(|share| share.owned -= 1);
        }
    }
}

/// Has this node take part.
pub(crate) struct SpreadTask {
    pub(crate) spread: Arc<Spread>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) stop: CancellationToken,
}

impl SpreadTask {
    async fn take_part(&self) {
        let own = self.leases.node().to_string();
        let mut changes = self.leases.watch();
        let (mut told, mut tell_at) = (None, Instant::now());
        while !self.stop.is_cancelled() {
            changes.mark_unchanged();
            let looked = self.look(&own, &mut told, &mut tell_at).await;
            if let Err(error) = looked {
                tracing::warn!(
                    cqrs.handler = &*self.spread.handler,
                    error = &error as &dyn std::error::Error,
                    "which nodes share the handler's partitions could not be asked, trying again"
                );
            }
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep_until(tell_at) => {}
                Ok(()) = changes.changed() => {}
            }
        }
        let left = HandlerCommit::new().remove(NODE, own);
        if self.checkpoints.change_records(&self.spread.handler, left).await.is_ok() {
            // If they do not hear it, they notice after a while.
            let _ = self.leases.call_owners().await;
        }
    }

    /// Looks who is there, and says that this node is: from time to time, and when it wants something else.
    async fn look(
        &self,
        own: &str,
        told: &mut Option<usize>,
        tell_at: &mut Instant,
    ) -> Result<(), StoreError> {
        let period = self.leases.ttl() / 3;
        let is_time = *tell_at <= Instant::now();
        if is_time {
            // Also if it fails.
            *tell_at = Instant::now() + period;
        }
        let wants = self.spread.look(&*self.checkpoints, own).await?;
        if !is_time && *told == Some(wants) {
            return Ok(());
        }
        let ttl = TimeDelta::from_std(self.leases.ttl()).unwrap_or(TimeDelta::MAX);
        let presence = HandlerRecord {
            kind: NODE.into(),
            key: own.to_owned(),
            position: 0,
            due_at: Utc::now().checked_add_signed(ttl),
            data: serde_json::to_vec(&Presence { wants }).expect("a number is JSON").into(),
        };
        self.checkpoints.change_records(&self.spread.handler, HandlerCommit::new().put(presence)).await?;
        if told.replace(wants) != Some(wants) {
            self.leases.call_owners().await?;
        }
        Ok(())
    }
}

impl Supervised for SpreadTask {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.take_part())
    }

    /// Without it the nodes would go on, each with what it has.
    fn may_be_given_up(&self) -> bool {
        true
    }
}
