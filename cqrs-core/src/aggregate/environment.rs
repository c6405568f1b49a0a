use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::Services;
use crate::aggregate::sweep::Sweep;
use crate::application::Config;
use crate::clock::Clock;
use crate::event::EventRegistry;
use crate::memory_pressure::LiveBound;
use crate::projection::InlineProjection;
use crate::store::{EventStore, SnapshotStore};

/// What the aggregates of one application instance share.
pub(crate) struct Environment {
    pub(crate) application: Arc<str>,
    pub(crate) store: Arc<dyn EventStore>,
    /// The projections whose rows are written with the appends; in the order of their names.
    pub(crate) inline: Vec<Arc<InlineProjection>>,
    pub(crate) snapshots: Arc<dyn SnapshotStore>,
    pub(crate) registry: Arc<EventRegistry>,
    pub(crate) services: Arc<Services>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: TaskTracker,
    /// Counts the aggregates at work and the snapshots under way. It is closed from the start, so that `wait`
    /// tells at any time when there is none.
    pub(crate) working: TaskTracker,
    pub(crate) payload_limit: usize,
    pub(crate) replay_page: usize,
    pub(crate) commands_per_append: usize,
    pub(crate) bound: LiveBound,
    pub(crate) live: AtomicUsize,
    pub(crate) sweep: Sweep,
    pub(crate) snapshot_writers: Arc<Semaphore>,
    uses: AtomicU64,
    closed: AtomicBool,
}

/// How many snapshots are written at a time; one that is due beyond that waits for a later command.
const SNAPSHOT_WRITERS: usize = 16;

impl Environment {
    #[expect(clippy::too_many_arguments, reason = "called once, with a name at each argument")]
    pub(crate) fn new(
        application: Arc<str>,
        store: Arc<dyn EventStore>,
        inline: Vec<Arc<InlineProjection>>,
        snapshots: Arc<dyn SnapshotStore>,
        registry: Arc<EventRegistry>,
        services: Arc<Services>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        config: &Config,
    ) -> Self {
        let working = TaskTracker::new();
        working.close();
        Self {
            application,
            store,
            inline,
            snapshots,
            registry,
            services,
            clock,
            tasks,
            working,
            payload_limit: config.payload_limit,
            replay_page: config.replay_page,
            commands_per_append: config.commands_per_append,
            bound: LiveBound::new(config.max_live_aggregates),
            live: AtomicUsize::new(0),
            sweep: Sweep::new(),
            snapshot_writers: Arc::new(Semaphore::new(SNAPSHOT_WRITERS)),
            uses: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    /// From now on no command begins to append: what is still undecided when the application has stopped
    /// comes to nothing.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// How many uses of instances there have been.
    pub(crate) fn uses(&self) -> u64 {
        self.uses.load(Ordering::Relaxed)
    }

    /// A number that grows with each use of an instance: the order of "least recently used".
    pub(crate) fn next_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Environment").field("store", &self.store).finish_non_exhaustive()
    }
}
