use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What others in this process tell a handler, and may know of it.
#[derive(Debug, Default)]
pub(crate) struct HandlerControl {
    /// Somebody has written down what is to be done.
    is_told: AtomicBool,
    told: Notify,
    /// The latest events that are parked, or wait behind one that is.
    left: Mutex<BTreeSet<u64>>,
}

/// How many events are remembered to be left for later: enough for whoever has just dispatched them.
const LEFT: usize = 10_000;

impl HandlerControl {
    pub(crate) fn tell(&self) {
        self.is_told.store(true, Ordering::SeqCst);
        self.told.notify_one();
    }

    /// Whether it was told since it was asked last.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told.swap(false, Ordering::SeqCst)
    }

    /// Is ready when it has been told since it was ready last.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn told(&self) {
        self.told.notified().await;
    }

    /// An event was left for later.
    pub(crate) fn leave(&self, position: u64) {
        let mut left = self.left();
        left.insert(position);
        if left.len() > LEFT {
            left.pop_first();
        }
    }

    /// An event was handled after all.
    pub(crate) fn make_up(&self, position: u64) {
        self.left().remove(&position);
    }

    /// Whether an event of this stretch was left for later.
    pub(crate) fn has_left(&self, first: u64, last: u64) -> bool {
        self.left().range(first..=last).next().is_some()
    }

    fn left(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
