use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Whether anybody waits for a handler to come further: one that runs on another node is then looked after
/// more often.
#[derive(Default)]
pub(crate) struct Waiters {
    count: AtomicUsize,
    came: Notify,
}

/// Somebody who waits, as long as it lives.
pub(crate) struct Waiter<'a>(&'a Waiters);

impl Waiters {
    pub(crate) fn enter(&self) -> Waiter<'_> {
        self.count.fetch_add(1, Ordering::SeqCst);
        self.came.notify_one();
        Waiter(self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    /// Is ready when somebody has come since it was ready last.
    pub(crate) async fn came(&self) {
        self.came.notified().await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}
