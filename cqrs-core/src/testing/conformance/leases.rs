//! Leases: of several nodes one at a time owns what has a name, and whoever owned it before is refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Barrier, watch};
use tokio::task::JoinSet;

use super::fixture::Leases as _;
use crate::id::NodeId;
use crate::store::{CheckpointError, Store};

/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(3_600);

/// Up at once.
const NO_TIME: Duration = Duration::ZERO;

async fn checkpoint(store: &Arc<dyn Store>, handler: &str) -> Option<u64> {
    store.checkpoint(handler).await.expect("checkpoints can be read")
}

/// That a checkpoint cannot be saved with this epoch, and that trying it changes nothing.
async fn assert_fenced(store: &Arc<dyn Store>, handler: &str, epoch: u64) {
    let before = checkpoint(store, handler).await;
    for position in [0, 1, u64::MAX >> 1] {
        match store.save_checkpoint(handler, position, epoch).await {
            Err(CheckpointError::Fenced { handler: fenced, epoch: over }) => {
                assert_eq!((fenced.as_str(), over), (handler, epoch));
            }
            other => panic!("epoch {epoch} of {handler:?} is not fenced: {other:?}"),
        }
        assert_eq!(checkpoint(store, handler).await, before);
    }
}

/// A lease that nobody has is given to the first one who asks, and to nobody else while its time is not up.
pub async fn pg_098_a_lease_has_one_owner(store: Arc<dyn Store>) {
    let (first, second) = (NodeId::new(), NodeId::new());
    let epoch = store.take("balances", first, LONG).await.expect("nobody has it");
    assert!(epoch >= 1);
    for _ in 0..3 {
        assert_eq!(store.take("balances", second, LONG).await, None);
        assert_eq!(store.take("balances", NodeId::new(), NO_TIME).await, None);
    }
    assert_eq!(store.held(first).await, [("balances".to_owned(), epoch)]);
    assert_eq!(store.held(second).await, []);
    store.save_checkpoint("balances", 1, epoch).await.expect("who was refused has changed nothing");
}

/// An owner that asks again gets its lease anew, with an epoch of its own.
pub async fn an_owner_takes_its_lease_anew(store: Arc<dyn Store>) {
    let owner = NodeId::new();
    let first = store.take("balances", owner, LONG).await.expect("nobody has it");
    let second = store.take("balances", owner, LONG).await.expect("it is its own");
    assert!(second > first, "{second} after {first}");
    assert_eq!(store.held(owner).await, [("balances".to_owned(), second)]);
    assert_fenced(&store, "balances", first).await;
    store.save_checkpoint("balances", 1, second).await.expect("the epoch is the latest");
}

/// A lease whose time is up goes to whoever asks next, and its old owner has it no longer.
pub async fn t_335_a_lease_that_has_run_out_can_be_taken(store: Arc<dyn Store>) {
    let (first, second) = (NodeId::new(), NodeId::new());
    let old = store.take("balances", first, NO_TIME).await.expect("nobody has it");
    let new = store.take("balances", second, LONG).await.expect("its time is up");
    assert!(new > old, "{new} after {old}");
    assert_eq!(store.held(first).await, []);
    assert_eq!(store.held(second).await, [("balances".to_owned(), new)]);
    assert_eq!(store.take("balances", first, LONG).await, None);
}

/// Epochs of a name grow with every taking, whatever lies between two of them.
pub async fn epochs_always_grow(store: Arc<dyn Store>) {
    let nodes = [NodeId::new(), NodeId::new(), NodeId::new()];
    let mut last = 0;
    for round in 0..12 {
        let owner = nodes[round % nodes.len()];
        let epoch = store.take("balances", owner, NO_TIME).await.expect("its time is up");
        assert!(epoch > last, "{epoch} after {last}");
        last = epoch;
        match round % 4 {
            0 => store.release_lease("balances", epoch).await.expect("leases can be given back"),
            1 => drop(store.renew_leases(owner, NO_TIME).await.expect("leases can be renewed")),
            2 => store.delete_checkpoint("balances").await.expect("checkpoints can be deleted"),
            _ => {}
        }
    }
}

/// A renewal prolongs from now on, be it longer or shorter than before, and also what has run out.
pub async fn a_renewal_sets_the_time_anew(store: Arc<dyn Store>) {
    let (first, second) = (NodeId::new(), NodeId::new());
    let epoch = store.take("balances", first, NO_TIME).await.expect("nobody has it");
    store.renew_leases(first, LONG).await.expect("leases can be renewed");
    assert_eq!(store.take("balances", second, LONG).await, None);
    assert_eq!(store.held(first).await, [("balances".to_owned(), epoch)], "its epoch stays");
    store.renew_leases(first, NO_TIME).await.expect("leases can be renewed");
    store.take("balances", second, LONG).await.expect("its time is up");
}

/// A renewal tells what the owner has, all of it and nothing of others.
pub async fn a_renewal_lists_the_owners_leases(store: Arc<dyn Store>) {
    let (first, second) = (NodeId::new(), NodeId::new());
    assert_eq!(store.held(first).await, []);
    let mut own = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let epoch = store.take(name, first, NO_TIME).await.expect("nobody has it");
        own.push((name.to_owned(), epoch));
    }
    let foreign = store.take("e", second, LONG).await.expect("nobody has it");
    store.take("b", second, NO_TIME).await.expect("its time is up");
    store.release_lease("c", own[2].1).await.expect("leases can be given back");
    assert_eq!(store.held(first).await, [own.remove(0), own.remove(2)], "a and d are left");
    let others: Vec<_> = store.held(second).await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(others, ["b", "e"]);
    assert!(store.held(second).await.contains(&("e".to_owned(), foreign)));
}

/// A lease that was given back goes to whoever asks next, long before its time is up.
pub async fn a_lease_given_back_can_be_taken_at_once(store: Arc<dyn Store>) {
    let (first, second) = (NodeId::new(), NodeId::new());
    let old = store.take("balances", first, LONG).await.expect("nobody has it");
    store.release_lease("balances", old).await.expect("leases can be given back");
    assert_eq!(store.held(first).await, []);
    let new = store.take("balances", second, LONG).await.expect("nobody has it");
    assert!(new > old, "{new} after {old}");
    assert_eq!(store.take("balances", first, LONG).await, None);
}

/// Only the latest epoch is given back: who comes late takes nothing from the next owner.
pub async fn an_old_epoch_cannot_be_given_back(store: Arc<dyn Store>) {
    let (first, second) = (NodeId::new(), NodeId::new());
    store.release_lease("balances", 1).await.expect("there need not be a lease");
    let old = store.take("balances", first, NO_TIME).await.expect("nobody has it");
    let new = store.take("balances", second, LONG).await.expect("its time is up");
    for epoch in [0, old, new + 1] {
        store.release_lease("balances", epoch).await.expect("it is not the latest, and nothing happens");
        assert_eq!(store.held(second).await, [("balances".to_owned(), new)]);
        assert_eq!(store.take("balances", first, LONG).await, None);
    }
}

/// Whoever watches is woken when a lease is given back.
pub async fn a_lease_given_back_wakes_every_receiver(store: Arc<dyn Store>) {
    let mut receivers = [store.watch_leases(), store.watch_leases()];
    for _ in 0..3 {
        receivers.iter_mut().for_each(watch::Receiver::mark_unchanged);
        let epoch = store.take("balances", NodeId::new(), LONG).await.expect("nobody has it");
        store.release_lease("balances", epoch).await.expect("leases can be given back");
        for receiver in &mut receivers {
            receiver.changed().await.expect("the store is there");
        }
    }
}

/// Whoever watches is woken when owners are called.
pub async fn a_call_of_the_owners_wakes_every_receiver(store: Arc<dyn Store>) {
    let mut receivers = [store.watch_leases(), store.watch_leases()];
    for _ in 0..3 {
        receivers.iter_mut().for_each(watch::Receiver::mark_unchanged);
        store.call_owners().await.expect("owners can be called");
        for receiver in &mut receivers {
            receiver.changed().await.expect("the store is there");
        }
    }
}

/// Leases go by their exact names.
pub async fn leases_do_not_mix(store: Arc<dyn Store>) {
    let names = ["balances", "Balances", "balances ", "welcome-email", "%", "_", "'; --", "Zoë 🦀"];
    for name in names {
        let epoch = store.take(name, NodeId::new(), LONG).await;
        assert!(epoch.is_some(), "{name:?} is free");
    }
    for name in names {
        assert_eq!(store.take(name, NodeId::new(), LONG).await, None, "{name:?} is taken");
    }
}

/// A lease may be for ever.
pub async fn a_lease_without_an_end_is_kept(store: Arc<dyn Store>) {
    let owner = NodeId::new();
    store.take("balances", owner, Duration::MAX).await.expect("nobody has it");
    assert_eq!(store.take("balances", NodeId::new(), LONG).await, None);
    store.renew_leases(owner, Duration::MAX).await.expect("leases can be renewed");
    assert_eq!(store.take("balances", NodeId::new(), LONG).await, None);
}

/// The owner of before comes back, and its checkpoint is refused.
pub async fn pg_121_the_checkpoint_of_an_old_epoch_is_refused(store: Arc<dyn Store>) {
    let (first, second) = (NodeId::new(), NodeId::new());
    let old = store.take("balances", first, NO_TIME).await.expect("nobody has it");
    store.save_checkpoint("balances", 5, old).await.expect("nobody has taken it over");
    let new = store.take("balances", second, LONG).await.expect("its time is up");
    assert_fenced(&store, "balances", old).await;
    store.save_checkpoint("balances", 6, new).await.expect("the epoch is the latest");
    assert_fenced(&store, "balances", old).await;
    assert_eq!(checkpoint(&store, "balances").await, Some(6));
}

/// Whoever has no lease has no checkpoint to save: an epoch counts for the lease of the handler's name alone.
pub async fn a_checkpoint_needs_the_lease_of_its_handler(store: Arc<dyn Store>) {
    for epoch in [0, 1] {
        assert_fenced(&store, "balances", epoch).await;
    }
    let owner = NodeId::new();
    let mut epoch = store.take("balances", owner, LONG).await.expect("nobody has it");
    assert_fenced(&store, "balances", epoch + 1).await;
    for _ in 0..3 {
        epoch = store.take("balances", owner, LONG).await.expect("it is its own");
    }
    store.take("welcome-email", owner, LONG).await.expect("nobody has it");
    assert_fenced(&store, "welcome-email", epoch).await;
    assert_eq!(checkpoint(&store, "welcome-email").await, None);
}

/// A checkpoint that is forgotten does not bring old epochs back.
pub async fn a_forgotten_checkpoint_leaves_the_lease(store: Arc<dyn Store>) {
    let (first, second) = (NodeId::new(), NodeId::new());
    let old = store.take("balances", first, NO_TIME).await.expect("nobody has it");
    let new = store.take("balances", second, LONG).await.expect("its time is up");
    store.save_checkpoint("balances", 9, new).await.expect("the epoch is the latest");
    store.delete_checkpoint("balances").await.expect("checkpoints can be deleted");
    assert_eq!(store.take("balances", first, LONG).await, None, "it has its owner still");
    assert_fenced(&store, "balances", old).await;
    store.save_checkpoint("balances", 2, new).await.expect("the epoch is the latest");
    assert_eq!(checkpoint(&store, "balances").await, Some(2));
}

/// Takes a lease of this name for 16 nodes at once; gives who got it, and the epochs.
async fn race(store: &Arc<dyn Store>, name: &'static str, ttl: Duration) -> Vec<(NodeId, u64)> {
    const NODES: usize = 16;
    let start = Arc::new(Barrier::new(NODES));
    let mut nodes = JoinSet::new();
    for _ in 0..NODES {
        let (store, start) = (Arc::clone(store), Arc::clone(&start));
        nodes.spawn(async move {
            let node = NodeId::new();
            start.wait().await;
            store.take(name, node, ttl).await.map(|epoch| (node, epoch))
        });
    }
    nodes.join_all().await.into_iter().flatten().collect()
}

/// Of 16 nodes that ask for one lease at once, one gets it: a new one, one that has run out, one given back.
pub async fn pg_098_of_nodes_that_ask_at_once_one_gets_the_lease(store: Arc<dyn Store>) {
    for name in ["new", "run out", "given back"] {
        if name != "new" {
            let ttl = if name == "run out" { NO_TIME } else { LONG };
            let epoch = store.take(name, NodeId::new(), ttl).await.expect("nobody has it");
            if name == "given back" {
                store.release_lease(name, epoch).await.expect("leases can be given back");
            }
        }
        let winners = race(&store, name, LONG).await;
        assert_eq!(winners.len(), 1, "{name}: {winners:?}");
        let (winner, epoch) = winners[0];
        assert_eq!(store.held(winner).await, [(name.to_owned(), epoch)]);
    }
}

/// No epoch is given twice.
pub async fn no_epoch_is_given_twice(store: Arc<dyn Store>) {
    let takings = race(&store, "balances", NO_TIME).await;
    assert_eq!(takings.len(), 16, "each one's time is up at once");
    let epochs: BTreeSet<u64> = takings.iter().map(|(_, epoch)| *epoch).collect();
    assert_eq!(epochs.len(), 16, "{takings:?}");
    let latest = epochs.last().copied().expect("there are some");
    for epoch in epochs.into_iter().filter(|epoch| *epoch != latest) {
        assert_fenced(&store, "balances", epoch).await;
    }
    store.save_checkpoint("balances", 1, latest).await.expect("the epoch is the latest");
}
