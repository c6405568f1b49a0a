use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::memory_pressure::{MemoryStatus, MemoryUse};

/// The bound on the number of live aggregates: what was configured, or less while memory is short.
#[derive(Debug)]
pub(crate) struct LiveBound {
    configured: usize,
    current: AtomicUsize,
    is_under_pressure: AtomicBool,
    passivated: AtomicU64,
    last_look: Mutex<Option<MemoryUse>>,
}

/// The lowest bound is this part of the configured one: whatever takes the memory, commands have to go on.
const LOWEST: usize = 100;

impl LiveBound {
    pub(crate) fn new(configured: usize) -> Self {
        Self {
            configured,
            current: AtomicUsize::new(configured),
            is_under_pressure: AtomicBool::new(false),
            passivated: AtomicU64::new(0),
            last_look: Mutex::default(),
        }
    }

    pub(crate) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    /// Whether memory ran short and has not been below the low-water mark since.
    pub(crate) fn is_under_pressure(&self) -> bool {
        self.is_under_pressure.load(Ordering::Relaxed)
    }

    /// Lowers the bound to the number of aggregates that are to stay.
    pub(crate) fn lower(&self, to: usize) {
        let to = to.max(self.configured / LOWEST).max(1);
        self.current.fetch_min(to, Ordering::Relaxed);
        self.is_under_pressure.store(true, Ordering::Relaxed);
    }

    /// Makes the bound what it was configured to be; tells whether it was lowered.
    pub(crate) fn restore(&self) -> bool {
        self.current.store(self.configured, Ordering::Relaxed);
        self.is_under_pressure.swap(false, Ordering::Relaxed)
    }

    /// So many aggregates have left memory for its sake.
    pub(crate) fn count(&self, passivated: usize) {
        self.passivated.fetch_add(passivated as u64, Ordering::Relaxed);
    }

    pub(crate) fn note(&self, memory: Option<MemoryUse>) {
        *self.last_look.lock().unwrap_or_else(PoisonError::into_inner) = memory;
    }

    pub(crate) fn status(&self) -> MemoryStatus {
        MemoryStatus {
            memory: *self.last_look.lock().unwrap_or_else(PoisonError::into_inner),
            max_live_aggregates: self.current(),
            passivated: self.passivated.load(Ordering::Relaxed),
            is_under_pressure: self.is_under_pressure(),
        }
    }
}
