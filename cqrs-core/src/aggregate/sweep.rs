use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::aggregate::Aggregates;

/// Knows when the next instance is due to leave memory.
///
/// One task sweeps for all instances of an application, since a timer each would cost more memory than an
/// idle instance does.
pub(crate) struct Sweep {
    origin: Instant,
    /// Nanoseconds from `origin` to the next sweep; `u64::MAX` when none is due.
    next: AtomicU64,
    earlier: Notify,
}

/// Two sweeps are at least this far apart, so that their cost is bounded when instances end one by one.
const MIN_GAP: Duration = Duration::from_millis(250);

impl Sweep {
    pub(crate) fn new() -> Self {
        Self { origin: Instant::now(), next: AtomicU64::new(u64::MAX), earlier: Notify::new() }
    }

    /// Sees to it that a sweep comes at `at` or earlier.
    pub(crate) fn schedule(&self, at: Instant) {
        let at = self.offset(at);
        // Almost always a sweep is due earlier than that already, and this is one load.
        if at < self.next.load(Ordering::Acquire) && self.next.fetch_min(at, Ordering::AcqRel) > at {
            self.earlier.notify_one();
        }
    }

    fn offset(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX - 1)
    }
}

/// Ends instances whose lifespan is over, until it is stopped.
pub(crate) async fn run(aggregates: &Aggregates, stop: CancellationToken) {
    let sweep = &aggregates.environment().sweep;
    let mut last = sweep.origin;
    loop {
        let next = sweep.next.load(Ordering::Acquire);
        let wait = async {
            if next == u64::MAX {
                sweep.earlier.notified().await;
                return false;
            }
            let due = (sweep.origin + Duration::from_nanos(next)).max(last + MIN_GAP);
            tokio::select! {
                () = sleep_until(due) => true,
                () = sweep.earlier.notified() => false,
            }
        };
        let due = tokio::select! {
            () = stop.cancelled() => return,
            due = wait => due,
        };
        if due {
            last = Instant::now();
            // Reset first: what is scheduled during the sweep then counts.
            sweep.next.store(u64::MAX, Ordering::Release);
            if let Some(next) = aggregates.expire(last) {
                sweep.schedule(next);
            }
        }
    }
}
