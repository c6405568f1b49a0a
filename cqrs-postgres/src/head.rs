use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// The head of a log as far as this process knows, and what wakes those who wait for it to move.
pub(crate) struct Head {
    position: watch::Sender<u64>,
    /// Counts the leases that were given back.
    leases: watch::Sender<u64>,
    /// Woken to look the head up.
    look: Notify,
    followed: AtomicBool,
}

/// The word that says that a lease was given back. Every other one is a position.
pub(crate) const LEASE_RELEASED: &str = "lease";

impl Head {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            position: watch::Sender::new(0),
            leases: watch::Sender::new(0),
            look: Notify::new(),
            followed: AtomicBool::new(false),
        })
    }

    /// The position was committed, or read from the database.
    pub(crate) fn advance(&self, position: u64) {
        self.position.send_if_modified(|known| {
            let moved = position > *known;
            *known = position.max(*known);
            moved
        });
    }

    /// Somebody said something about this log. It is a hint: the database is asked before anybody is woken.
    pub(crate) fn told(&self, word: &str) {
        if word == LEASE_RELEASED {
            self.lease_released();
        } else if word.parse().is_ok_and(|position: u64| position > *self.position.borrow()) {
            self.look();
        }
    }

    pub(crate) fn lease_released(&self) {
        self.leases.send_modify(|count| *count += 1);
    }

    /// Has the head looked up.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    /// Waits until the head is to be looked up: somebody asked for it, or `poll` has passed.
    pub(crate) async fn wait_to_look(&self, poll: Duration) {
        // Spread, so that many stores do not ask at once.
        let poll = poll.mul_f64(0.75 + 0.5 * fastrand::f64());
        let _ = tokio::time::timeout(poll, self.look.notified()).await;
    }

    /// Whether anybody waits.
    pub(crate) fn is_watched(&self) -> bool {
        self.position.receiver_count() + self.leases.receiver_count() > 0
    }

    /// The head as far as it is known; 0 when nothing is.
    pub(crate) fn position(&self) -> u64 {
        *self.position.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.position.subscribe()
    }

    pub(crate) fn watch_leases(&self) -> watch::Receiver<u64> {
        self.leases.subscribe()
    }

    /// Whether this is the first call: the head is not followed yet.
    pub(crate) fn begin_to_follow(&self) -> bool {
        !self.followed.swap(true, Ordering::AcqRel)
    }
}
