use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::id::NodeId;
use crate::store::StoreError;

/// A lease that a node holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeldLease {
    /// The name of what is leased, such as a handler's.
    pub name: String,
    /// Which holding of that name it is.
    pub epoch: u64,
}

/// Sees to it that of the nodes on a store one at a time owns what has a name.
///
/// Time is the store's own: nodes need not agree on what time it is. A lease that has run out still belongs to
/// its owner until another one takes it. Each taking has an epoch of its own, so that whoever was the owner
/// without knowing that it is no longer can be refused by [`save_checkpoint`].
///
/// [`save_checkpoint`]: crate::store::CheckpointStore::save_checkpoint
#[async_trait]
pub trait LeaseStore: fmt::Debug + Send + Sync + 'static {
    /// Takes the lease of this name for `owner` until `ttl` from now. Gives the epoch, which is greater than
    /// every earlier one of that name, also when `owner` had the lease already; `None` while another owner
    /// has it and its time is not up.
    ///
    /// Epochs begin at 1, and a `ttl` of zero is up at once.
    async fn acquire_lease(
        &self,
        name: &str,
        owner: NodeId,
        ttl: Duration,
    ) -> Result<Option<u64>, StoreError>;

    /// Prolongs all leases of `owner` to `ttl` from now, also those that have run out and that nobody has
    /// taken. Gives those that it still has, in any order.
    async fn renew_leases(&self, owner: NodeId, ttl: Duration) -> Result<Vec<HeldLease>, StoreError>;

    /// Gives a lease back, so that another node can take it at once. Nothing happens when the epoch is not the
    /// latest of that name.
    async fn release_lease(&self, name: &str, epoch: u64) -> Result<(), StoreError>;

    /// Wakes the owners of leases, on all nodes: [`LeaseStore::watch_leases`] changes.
    async fn call_owners(&self) -> Result<(), StoreError>;

    /// Changes when a lease was given back, or owners are called. What this process did is noticed at once, what
    /// another process did possibly later, or not at all.
    fn watch_leases(&self) -> watch::Receiver<u64>;
}
