use tokio::sync::watch;
use tokio::time::Instant;

use crate::handler::OwnState;
use crate::handler::parked::ParkedKeys;
use crate::handler::spread::Seat;
use crate::lease::Lease;

/// A time in which this node owns a handler, and the checkpoint as far as it is saved.
pub(crate) struct Tenure {
    pub(crate) lease: Lease,
    /// Of a handler that shares its partitions with other nodes.
    pub(crate) seat: Option<Seat>,
    pub(crate) saved: u64,
    /// Up to where it was tried to save it, and when: a store that fails is not asked again for each event.
    pub(crate) tried: u64,
    pub(crate) tried_at: Instant,
    pub(crate) parked: ParkedKeys,
    pub(crate) state: OwnState,
    /// It is not known whether something was written: nothing more is.
    pub(crate) is_cut_off: bool,
    pub(crate) is_paused: bool,
    /// It waits until it is known whether the handler begins anew.
    pub(crate) is_held: bool,
    /// There are orders that could not be read or followed.
    pub(crate) has_open_orders: bool,
    /// When orders were looked for.
    pub(crate) looked_at: Instant,
    /// Changes when there may be some.
    pub(crate) calls: watch::Receiver<u64>,
}

impl Tenure {
    pub(crate) fn new(
        lease: Lease,
        seat: Option<Seat>,
        saved: u64,
        parked: ParkedKeys,
        calls: watch::Receiver<u64>,
    ) -> Self {
        let now = Instant::now();
        Self {
            lease,
            seat,
            saved,
            tried: saved,
            tried_at: now,
            parked,
            state: OwnState::default(),
            is_cut_off: false,
            is_paused: false,
            is_held: false,
            has_open_orders: false,
            looked_at: now,
            calls,
        }
    }
}

impl Tenure {
    /// Whether there is reason to look for orders without being called.
    pub(crate) fn expects_orders(&self) -> bool {
        self.is_paused || self.is_held || self.has_open_orders || !self.parked.is_empty()
    }
}

/// What outlives a tenure.
#[derive(Default)]
pub(crate) struct LastTenure {
    /// 0 when there was none.
    pub(crate) epoch: u64,
    /// A tenure that has begun before the handler runs, when the application starts.
    pub(crate) begun: Option<Tenure>,
}

impl LastTenure {
    /// Whether nobody was the owner between the last tenure and the one of this epoch. If so, that one is the last
    /// from now on: it may end before it has begun, and is followed by another one then.
    pub(crate) fn is_followed_by(&mut self, epoch: u64) -> bool {
        let is_next = self.epoch + 1 == epoch;
        if is_next {
            self.epoch = epoch;
        }
        is_next
    }
}
