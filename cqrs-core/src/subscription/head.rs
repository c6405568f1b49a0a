use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// Waits until it is worth reading on: the store says that its head has moved, or `poll` has passed, in case
/// the store did not notice a write by others.
///
/// # Cancel safety
/// Nothing is lost when the future is dropped.
pub(crate) async fn head_may_have_moved(head: &mut watch::Receiver<u64>, poll: Duration) {
    // A store that has dropped its end will never say anything again.
    if let Ok(Err(_)) = timeout(poll, head.changed()).await {
        sleep(poll).await;
    }
}
