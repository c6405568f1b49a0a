use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::ambient::HandlerKey;
use crate::application::Core;
use crate::clock::Clock;
use crate::event::EventRegistry;
use crate::handler::spread::Spread;
use crate::handler::{
    Effects, HandlerControl, HandlerProgress, HandlerState, LastTenure, Partition, Role, StartFrom, Waiters,
};
use crate::lease::Leases;
use crate::store::{CheckpointStore, EventStore};
use crate::subscription::{Pages, Subscriber, Tail};
use crate::telemetry::Propagation;

/// What one handler runs with.
#[derive(Clone)]
pub(crate) struct HandlerRunner {
    /// That of the handler.
    pub(crate) handler: Arc<str>,
    pub(crate) partition: Partition,
    /// How the partitions are shared with other nodes; `None` where there is one.
    pub(crate) spread: Option<Arc<Spread>>,
    /// That of the partition: what it keeps, it keeps under this name.
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    /// Whether it keeps a state, which goes with its position.
    pub(crate) keeps_state: bool,
    pub(crate) application: Arc<str>,
    /// Set when the handler is spawned; weak, since the application owns the handler.
    pub(crate) core: Weak<Core>,
    pub(crate) key: HandlerKey,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) registry: Arc<EventRegistry>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) propagation: Propagation,
    pub(crate) tail: Arc<Tail>,
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) progress: Arc<watch::Sender<HandlerProgress>>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) control: Arc<HandlerControl>,
    pub(crate) effects: Arc<Effects>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) last_tenure: Arc<Mutex<LastTenure>>,
    pub(crate) start_from: StartFrom,
    /// Where that was when the application started.
    pub(crate) start: u64,
    pub(crate) stop: CancellationToken,
    pub(crate) page: usize,
    pub(crate) pages: Arc<Pages>,
    pub(crate) checkpoint_every: u64,
    pub(crate) checkpoint_interval: Duration,
    /// How long a method may take.
    pub(crate) handling_limit: Duration,
    pub(crate) max_parked: usize,
    pub(crate) commands_in_flight: usize,
}

impl HandlerRunner {
    /// Where the handler has come to.
    pub(crate) fn position(&self) -> u64 {
        self.progress.borrow().position
    }

    /// Tells whether that is further than before.
    pub(crate) fn advance(&self, position: u64) -> bool {
        let mut advanced = false;
        self.progress.send_if_modified(|progress| {
            advanced = position > progress.position;
            progress.position = progress.position.max(position);
            // To wake nobody costs as much as much of the rest. Asked under the lock: who comes later looks later.
            advanced && !self.waiters.is_empty()
        });
        advanced
    }

    /// Tells from which position on there are commands that are not carried out yet.
    pub(crate) fn set_unsent(&self, lowest: Option<u64>) {
        self.progress.send_if_modified(|progress| {
            let changed = progress.unsent != lowest;
            progress.unsent = lowest;
            changed && !self.waiters.is_empty()
        });
    }

    pub(crate) fn set_state(&self, state: HandlerState) {
        self.progress.send_if_modified(|progress| {
            let changed = progress.state != state;
            progress.state = state;
            if matches!(state, HandlerState::Running | HandlerState::Passive) {
                progress.last_error = None;
            }
            changed
        });
    }

    pub(crate) fn set_failure(&self, state: HandlerState, error: &dyn std::fmt::Display) {
        self.progress.send_modify(|progress| {
            progress.state = state;
            progress.last_error = Some(Arc::from(error.to_string()));
        });
    }
}
