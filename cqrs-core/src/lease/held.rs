use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::lease::Leases;

/// A lease that this instance holds, as far as it knows. It is given back when it is dropped.
pub(crate) struct Lease {
    term: Arc<Term>,
    leases: Arc<Leases>,
}

/// How long a lease is good for: known to whoever works under it and to whoever renews it.
pub(crate) struct Term {
    pub(crate) name: Arc<str>,
    pub(crate) epoch: u64,
    /// Until when no other node can have taken it; `None` when one has.
    until: watch::Sender<Option<Instant>>,
}

impl Lease {
    pub(crate) fn new(term: Arc<Term>, leases: Arc<Leases>) -> Self {
        Self { term, leases }
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.term.epoch
    }

    /// Whether no other node can have taken it. What is begun only while this holds is done by one node at a
    /// time.
    pub(crate) fn is_good(&self) -> bool {
        self.term.is_good()
    }

    /// Is ready when the lease is not good any more.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn over(&self) {
        let mut until = self.term.until.subscribe();
        while let Some(end) = self.term.end() {
            // Woken by a renewal, by a fence, or by the time itself, which may have been prolonged just now.
            let _ = timeout_at(end, until.changed()).await;
        }
    }

    /// The store says that another node has taken it.
    pub(crate) fn fence(&self) {
        self.term.fence();
    }

    /// Whether another node has taken it, for certain.
    pub(crate) fn is_fenced(&self) -> bool {
        self.term.until.borrow().is_none()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.give_back(&self.term);
    }
}

impl Term {
    pub(crate) fn new(name: Arc<str>, epoch: u64, until: Instant) -> Self {
        Self { name, epoch, until: watch::Sender::new(Some(until)) }
    }

    /// The store has renewed it.
    pub(crate) fn prolong(&self, end: Instant) {
        self.until.send_if_modified(|until| {
            let longer = until.is_some_and(|until| until < end);
            if longer {
                *until = Some(end);
            }
            longer
        });
    }

    pub(crate) fn fence(&self) {
        self.until.send_replace(None);
    }

    fn is_good(&self) -> bool {
        self.end().is_some()
    }

    /// When it ends, if that is still to come.
    fn end(&self) -> Option<Instant> {
        self.until.borrow().filter(|end| Instant::now() < *end)
    }
}
