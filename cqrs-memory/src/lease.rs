use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use cqrs_core::clock::Clock;
use cqrs_core::id::NodeId;
use cqrs_core::store::{HeldLease, LeaseStore, StoreError};
use tokio::sync::watch;

use crate::MemoryStore;

/// A lease that was taken at some time. It stays when it is given back, since epochs go on.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) epoch: u64,
    /// `None` when it was given back.
    owner: Option<NodeId>,
    until: DateTime<Utc>,
}

impl Lease {
    fn may_be_taken(&self, owner: NodeId, now: DateTime<Utc>) -> bool {
        self.owner.is_none_or(|other| other == owner) || self.until <= now
    }
}

#[async_trait]
impl LeaseStore for MemoryStore {
    async fn acquire_lease(
        &self,
        name: &str,
        owner: NodeId,
        ttl: Duration,
    ) -> Result<Option<u64>, StoreError> {
        let mut contents = self.lock();
        let (now, until) = term(self.clock(), ttl);
        let epoch = match contents.leases.get(name) {
            Some(lease) if !lease.may_be_taken(owner, now) => return Ok(None),
            Some(lease) => lease.epoch + 1,
            None => 1,
        };
        contents.leases.insert(name.into(), Lease { epoch, owner: Some(owner), until });
        Ok(Some(epoch))
    }

    async fn renew_leases(&self, owner: NodeId, ttl: Duration) -> Result<Vec<HeldLease>, StoreError> {
        let mut contents = self.lock();
        let (_, until) = term(self.clock(), ttl);
        let own = contents.leases.iter_mut().filter(|(_, lease)| lease.owner == Some(owner));
        let renewed = own.map(|(name, lease)| {
            lease.until = until;
            HeldLease { name: name.as_ref().to_owned(), epoch: lease.epoch }
        });
        Ok(renewed.collect())
    }

    async fn release_lease(&self, name: &str, epoch: u64) -> Result<(), StoreError> {
        let given_back = match self.lock().leases.get_mut(name) {
            Some(lease) if lease.epoch == epoch => lease.owner.take().is_some(),
            _ => false,
        };
        if given_back {
            self.announce_release();
        }
        Ok(())
    }

    async fn call_owners(&self) -> Result<(), StoreError> {
        self.announce_release();
        Ok(())
    }

    fn watch_leases(&self) -> watch::Receiver<u64> {
        self.subscribe_releases()
    }
}

/// The present, and `ttl` later, within what a date can tell.
fn term(clock: &dyn Clock, ttl: Duration) -> (DateTime<Utc>, DateTime<Utc>) {
    let now = clock.now();
    let until = TimeDelta::from_std(ttl).ok().and_then(|ttl| now.checked_add_signed(ttl));
    (now, until.unwrap_or(DateTime::<Utc>::MAX_UTC))
}
