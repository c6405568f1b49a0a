use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What others in this process tell a handler, and may know of it.
#[derive(Debug, Default)]
pub(crate) struct HandlerControl {
    /// Somebody has written down what is to be done.
    is_called: AtomicBool,
    call: Notify,
    /// The latest events that are parked, or wait behind one that is.
    left: Mutex<BTreeSet<u64>>,
}

/// How many events are remembered to be left for later: enough for whoever has just dispatched them.
const LEFT: usize = 10_000;

impl HandlerControl {
    /// Has the owner look what it is told to do.
    pub(crate) fn call(&self) {
        self.is_called.store(true, Ordering::SeqCst);
        self.call.notify_one();
    }

    /// Whether it was called since it was asked last.
    pub(crate) fn is_called(&self) -> bool {
        self.is_called.swap(false, Ordering::SeqCst)
    }

    /// Whether the next one to ask [`HandlerControl::is_called`] is told so.
    pub(crate) fn has_call(&self) -> bool {
        self.is_called.load(Ordering::SeqCst)
    }

    /// Is ready when it has been called since it was ready last.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn called(&self) {
        self.call.notified().await;
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

    /// Nothing is left for later any more.
    pub(crate) fn forget_left(&self) {
        self.left().clear();
    }

    /// These are what is parked now, whoever has seen to the others.
    pub(crate) fn are_parked(&self, positions: impl Iterator<Item = u64>) {
        let parked: BTreeSet<u64> = positions.collect();
        let mut left = self.left();
        left.retain(|position| parked.first().is_some_and(|first| position >= first));
        left.extend(parked);
    }

    /// Whether an event of this stretch was left for later.
    pub(crate) fn has_left(&self, first: u64, last: u64) -> bool {
        self.left().range(first..=last).next().is_some()
    }

    fn left(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
