use std::sync::Arc;

use cqrs_core::clock::{Clock, SystemClock};
use cqrs_core::store::StoreIdentity;
use uuid::Uuid;

use crate::MemoryStore;

/// Configures a [`MemoryStore`].
///
/// ```
/// use cqrs_memory::MemoryStore;
///
/// let store = MemoryStore::builder().max_events(10_000).allow_hard_deletion().build();
/// # let _ = store;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct MemoryStoreBuilder {
    clock: Arc<dyn Clock>,
    max_events: Option<u64>,
    allow_hard_deletion: bool,
}

impl MemoryStoreBuilder {
    pub(crate) fn new() -> Self {
        Self { clock: Arc::new(SystemClock), max_events: None, allow_hard_deletion: false }
    }

    /// Bounds how many events the store holds at once; an append beyond it is refused as
    /// [`AppendError::Full`](cqrs_core::store::AppendError::Full). Without this there is no bound.
    ///
    /// Hard-deleted events no longer count. States, snapshots, links and the outcomes of appends without
    /// events do not count either.
    pub fn max_events(mut self, max_events: u64) -> Self {
        self.max_events = Some(max_events);
        self
    }

    /// Allows [`Deletion::Hard`](cqrs_core::store::Deletion::Hard), which is refused otherwise.
    pub fn allow_hard_deletion(mut self) -> Self {
        self.allow_hard_deletion = true;
        self
    }

    /// The clock that events are stamped with and that leases run out by; [`SystemClock`] without this. It is asked while the store is
    /// locked, and must not use the store itself.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// An empty store with an identity of its own.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let identity = StoreIdentity::new(&format!("memory:{}", Uuid::new_v4()));
        MemoryStore::with(identity, self.clock, self.allow_hard_deletion, self.max_events)
    }
}
