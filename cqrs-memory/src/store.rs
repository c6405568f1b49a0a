use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cqrs_core::clock::Clock;
use cqrs_core::store::StoreIdentity;
use tokio::sync::{Notify, watch};

use crate::MemoryStoreBuilder;
use crate::contents::Contents;

/// A store that lives in the memory of the process.
///
/// Cloning is cheap, and the clones are handles to the same store, which goes with the last of them.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    identity: StoreIdentity,
    clock: Arc<dyn Clock>,
    allow_hard_deletion: bool,
    /// Never held across an await, nor while readers are woken.
    contents: Mutex<Contents>,
    /// The position of the latest event. Written under the lock of `contents`, read without it.
    head: AtomicU64,
    watch: watch::Sender<u64>,
    /// How many leases were given back.
    releases: watch::Sender<u64>,
    /// Held while rows are written for an append: one after the other.
    turn: tokio::sync::Mutex<()>,
    /// Wakes those who wait to append.
    free: Notify,
    /// Whether anybody ever watched the head. Written and read under the lock of `contents`.
    watched: AtomicBool,
}

impl MemoryStore {
    /// An empty store without a bound, which refuses hard deletion.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Configures a store.
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder::new()
    }

    pub(crate) fn with(
        identity: StoreIdentity,
        clock: Arc<dyn Clock>,
        allow_hard_deletion: bool,
        max_events: Option<u64>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                identity,
                clock,
                allow_hard_deletion,
                contents: Mutex::new(Contents::new(max_events)),
                head: AtomicU64::new(0),
                watch: watch::Sender::new(0),
                releases: watch::Sender::new(0),
                turn: tokio::sync::Mutex::default(),
                free: Notify::new(),
                watched: AtomicBool::new(false),
            }),
        }
    }

    /// Forgets everything: streams, states, snapshots, checkpoints, leases, outcomes of appends and the owner.
    /// Positions begin at 1 again.
    ///
    /// For tests that share a store. An application that runs on the store notices that the log went back,
    /// and is not made for it: stop it first.
    pub fn reset(&self) {
        {
            let mut contents = self.lock();
            contents.clear();
            self.shared.head.store(0, Ordering::Release);
        }
        self.announce_release();
        self.announce();
    }

    pub(crate) fn identity(&self) -> &StoreIdentity {
        &self.shared.identity
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.shared.clock
    }

    pub(crate) fn allows_hard_deletion(&self) -> bool {
        self.shared.allow_hard_deletion
    }

    /// The contents. A thread that panicked while it held them has changed nothing: what can panic, the clock, is
    /// asked before a change is begun. So a poisoned lock is taken over.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Contents> {
        self.shared.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn head(&self) -> u64 {
        self.shared.head.load(Ordering::Acquire)
    }

    /// Notes the position of the latest event; the caller holds the lock of the contents it is taken from.
    /// Tells whether it has to be announced: a store whose head nobody ever watched spares that.
    #[must_use]
    pub(crate) fn note_head(&self, contents: &MutexGuard<'_, Contents>) -> bool {
        self.shared.head.store(contents.log.head(), Ordering::Release);
        self.shared.watched.load(Ordering::Relaxed)
    }

    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.turn.lock().await
    }

    /// Wakes those who wait to append.
    pub(crate) fn free(&self) -> &Notify {
        &self.shared.free
    }

    /// Wakes whoever watches the leases. To be called without the lock.
    pub(crate) fn announce_release(&self) {
        self.shared.releases.send_modify(|count| *count += 1);
    }

    pub(crate) fn subscribe_releases(&self) -> watch::Receiver<u64> {
        self.shared.releases.subscribe()
    }

    /// Wakes whoever watches the head. To be called without the lock, so that those who wake can take it.
    ///
    /// The head is read under the watch's own lock: of two appends that announce at once, the one that comes
    /// last announces the later head, whichever of them wrote last.
    pub(crate) fn announce(&self) {
        self.shared.watch.send_if_modified(|announced| {
            let head = self.head();
            let moved = *announced != head;
            *announced = head;
            moved
        });
    }

    /// Watches the head from now on. Under the lock, an append either sees that it is watched, or has noted the
    /// head that is announced here.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        {
            let _contents = self.lock();
            self.shared.watched.store(true, Ordering::Relaxed);
        }
        self.announce();
        self.shared.watch.subscribe()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MemoryStore")
            .field("identity", &self.shared.identity)
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}
