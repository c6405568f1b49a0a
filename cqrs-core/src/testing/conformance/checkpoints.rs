//! Checkpoints: how far each handler has come.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::Leases as _;
use crate::id::NodeId;
use crate::store::Store;

async fn checkpoint(store: &Arc<dyn Store>, handler: &str) -> Option<u64> {
    store.checkpoint(handler).await.expect("checkpoints can be read")
}

/// E-094: a handler that never ran has none; 0 is one.
pub async fn a_handler_that_never_ran_has_no_checkpoint(store: Arc<dyn Store>) {
    assert_eq!(checkpoint(&store, "balances").await, None);
    store.save("balances", 0).await;
    assert_eq!(checkpoint(&store, "balances").await, Some(0));
}

/// A checkpoint goes forward and never back. (T-241)
pub async fn t_241_a_checkpoint_goes_forward_only(store: Arc<dyn Store>) {
    for (position, kept) in [(5, 5), (9, 9), (8, 9), (0, 9), (9, 9), (10, 10)] {
        store.save("balances", position).await;
        assert_eq!(checkpoint(&store, "balances").await, Some(kept));
    }
}

/// Every handler has its own, by the exact name.
pub async fn checkpoints_of_handlers_do_not_mix(store: Arc<dyn Store>) {
    let handlers = ["balances", "Balances", "balances ", "welcome-email", "%", "_", "'; --", "Zoë 🦀"];
    for (position, handler) in (1..).zip(handlers) {
        store.save(handler, position).await;
    }
    for (position, handler) in (1..).zip(handlers) {
        assert_eq!(checkpoint(&store, handler).await, Some(position), "{handler:?}");
    }
    store.delete_checkpoint("%").await.expect("checkpoints can be deleted");
    assert_eq!(checkpoint(&store, "%").await, None);
    assert_eq!(checkpoint(&store, "balances").await, Some(1));
}

/// A handler that is forgotten starts afresh; there need not be one.
pub async fn t_240_a_forgotten_handler_starts_afresh(store: Arc<dyn Store>) {
    let forgotten = store.delete_checkpoint("balances").await;
    forgotten.expect("there need not be a handler");
    store.save("balances", 9).await;
    let forgotten = store.delete_checkpoint("balances").await;
    forgotten.expect("checkpoints can be deleted");
    assert_eq!(checkpoint(&store, "balances").await, None);
    store.save("balances", 2).await;
    assert_eq!(checkpoint(&store, "balances").await, Some(2));
}

/// Of positions that are saved at once, the highest stays.
pub async fn the_highest_of_concurrent_checkpoints_stays(store: Arc<dyn Store>) {
    let epoch = store.take("balances", NodeId::new(), Duration::ZERO).await.expect("nobody has the lease");
    let mut savers = tokio::task::JoinSet::new();
    for position in (1..=20).rev() {
        let store = Arc::clone(&store);
        savers.spawn(async move { store.save_checkpoint("balances", position, epoch).await });
    }
    for saved in savers.join_all().await {
        saved.expect("checkpoints can be saved");
    }
    assert_eq!(checkpoint(&store, "balances").await, Some(20));
}
