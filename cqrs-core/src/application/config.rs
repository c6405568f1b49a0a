use std::time::Duration;

/// Bounds and intervals of an application instance.
///
/// ```
/// use cqrs_core::application::Config;
///
/// let config = Config::new().payload_limit(64 * 1024).max_live_aggregates(10_000);
/// # let _ = config;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Config {
    pub(crate) payload_limit: usize,
    pub(crate) max_live_aggregates: usize,
    pub(crate) memory_high_water: u8,
    pub(crate) memory_low_water: u8,
    pub(crate) memory_interval: Duration,
    pub(crate) ignores_memory: bool,
    pub(crate) replay_page: usize,
    pub(crate) commands_per_append: usize,
    pub(crate) inline_limit: Duration,
    pub(crate) tail_page: usize,
    pub(crate) tail_buffer: usize,
    pub(crate) poll_interval: Duration,
    pub(crate) checkpoint_every: u64,
    pub(crate) checkpoint_interval: Duration,
    pub(crate) handling_limit: Duration,
    pub(crate) max_parked: usize,
    pub(crate) commands_in_flight: usize,
    pub(crate) lease_ttl: Duration,
    pub(crate) lease_retry: Duration,
    pub(crate) metrics_interval: Duration,
    pub(crate) shutdown_deadline: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            payload_limit: 1024 * 1024,
            max_live_aggregates: 100_000,
            memory_high_water: 85,
            memory_low_water: 70,
            memory_interval: Duration::from_secs(5),
            ignores_memory: false,
            replay_page: 1_000,
            commands_per_append: 64,
            inline_limit: Duration::from_secs(2),
            tail_page: 1_000,
            tail_buffer: 16 * 1024 * 1024,
            poll_interval: Duration::from_secs(1),
            checkpoint_every: 1_000,
            checkpoint_interval: Duration::from_secs(1),
            handling_limit: Duration::from_secs(60),
            max_parked: 1_000,
            commands_in_flight: 256,
            lease_ttl: Duration::from_secs(15),
            lease_retry: Duration::from_secs(1),
            metrics_interval: Duration::from_secs(10),
            shutdown_deadline: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The largest event, encoded, in bytes; 1 MiB unless set.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.payload_limit = bytes;
        self
    }

    /// How many aggregates are kept in memory at most, at least 1; 100,000 unless set. Beyond that the least
    /// recently used idle ones leave.
    pub fn max_live_aggregates(mut self, count: usize) -> Self {
        self.max_live_aggregates = count.max(1);
        self
    }

    /// From which part of the memory that may be used on it counts as short, in percent; 85 unless set. Aggregates leave it
    /// then: see [`memory_pressure`](crate::memory_pressure).
    pub fn memory_high_water(mut self, percent: u8) -> Self {
        self.memory_high_water = percent;
        self
    }

    /// Below which part of the memory that may be used it does not count as short any more, in percent; 70 unless set.
    /// One above the high-water mark counts as that.
    pub fn memory_low_water(mut self, percent: u8) -> Self {
        self.memory_low_water = percent;
        self
    }

    /// How often the application looks at the memory in use, at least 10 ms; 5 s unless set.
    pub fn memory_interval(mut self, interval: Duration) -> Self {
        self.memory_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Does not look at the memory in use: [`Config::max_live_aggregates`] is all that bounds live aggregates.
    pub fn ignore_memory(mut self) -> Self {
        self.ignores_memory = true;
        self
    }

    /// How many events are read at a time when an aggregate is replayed, at least 1; 1,000 unless set.
    pub fn replay_page(mut self, events: usize) -> Self {
        self.replay_page = events.max(1);
        self
    }

    /// How many commands that wait for one aggregate are appended together at most, at least 1; 64 unless set. The
    /// command whose events make it a mebibyte, 256 bytes counted for each event beside its payload, is the last.
    pub fn commands_per_append(mut self, commands: usize) -> Self {
        self.commands_per_append = commands.max(1);
        self
    }

    /// How long an [inline projection](crate::projection::Projection#inline) may take for the events of one append, all
    /// others of which wait meanwhile; 2 s unless set. Less than the time that a dispatch may take, so that the caller
    /// learns the reason.
    pub fn inline_limit(mut self, limit: Duration) -> Self {
        self.inline_limit = limit;
        self
    }

    /// How many events handlers read at a time, at least 1; 1,000 unless set. Pages are bounded in events, not
    /// in bytes, and one that catches up has three of them in memory: with large events, choose fewer. A rebuild that is
    /// divided reads up to 16 times as many, see
    /// [`Projection::REBUILD_PARTITIONS`](crate::projection::Projection::REBUILD_PARTITIONS).
    pub fn tail_page(mut self, events: usize) -> Self {
        self.tail_page = events.max(1);
        self
    }

    /// How many bytes of the latest events are kept for handlers; 16 MiB unless set.
    pub fn tail_buffer(mut self, bytes: usize) -> Self {
        self.tail_buffer = bytes;
        self
    }

    /// How long a method of an event handler, a projection, a process manager or a publisher may take each time that it is
    /// called; 60 s unless set. One that takes longer is dropped where it waits, and has failed: with
    /// [`HandlerError::TimedOut`](crate::handler::HandlerError::TimedOut),
    /// [`ProcessError::TimedOut`](crate::process_manager::ProcessError::TimedOut) or
    /// [`PublishError::TimedOut`](crate::publisher::PublishError::TimedOut), of which `on_error` is told. A method that is
    /// given many events has the same time for all of them; they are handled one by one when that is not enough.
    ///
    /// One that blocks its thread, with [`std::thread::sleep`] or an endless loop, cannot be dropped: what blocks belongs
    /// into `tokio::task::spawn_blocking`.
    pub fn handling_limit(mut self, limit: Duration) -> Self {
        self.handling_limit = limit;
        self
    }

    /// How many keys a handler parks at most; 1,000 unless set. Whoever fails that often fails everywhere: the handler
    /// stops then, in front of the event.
    pub fn max_parked(mut self, keys: usize) -> Self {
        self.max_parked = keys;
        self
    }

    /// How many commands a process manager has under way at a time, each of another instance, at least 1; 256 unless
    /// set.
    pub fn commands_in_flight(mut self, commands: usize) -> Self {
        self.commands_in_flight = commands.max(1);
        self
    }

    /// How often the log is looked at when the store does not wake its readers, at least 10 ms; 1 s unless set.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// After how many positions a busy handler saves its checkpoint, at least 1; 1,000 unless set. A handler
    /// also saves it when it has caught up and when it is stopped.
    pub fn checkpoint_every(mut self, positions: u64) -> Self {
        self.checkpoint_every = positions.max(1);
        self
    }

    /// After which time a busy handler saves its checkpoint; 1 s unless set.
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.checkpoint_interval = interval;
        self
    }

    /// How long a node owns a handler after it was last heard of, between 100 ms and a day; 15 s unless set. It is
    /// heard of three times in that time. A node that dies is followed by another one after this time, and one
    /// that stops in an orderly way at once.
    pub fn lease_ttl(mut self, time: Duration) -> Self {
        self.lease_ttl = time.clamp(Duration::from_millis(100), Duration::from_secs(24 * 3_600));
        self
    }

    /// How often a node asks for a handler that runs on another one, at least 10 ms; 1 s unless set, and each
    /// time a bit less. A node that is told of a handler that has become free asks at once.
    pub fn lease_retry(mut self, interval: Duration) -> Self {
        self.lease_retry = interval.max(Duration::from_millis(10));
        self
    }

    /// How often is told how the application is, such as how far its handlers lag behind, while somebody listens to
    /// [metrics](crate::telemetry); at least 100 ms; 10 s unless set.
    pub fn metrics_interval(mut self, interval: Duration) -> Self {
        self.metrics_interval = interval.max(Duration::from_millis(100));
        self
    }

    /// How long a shutdown waits for what was accepted; 30 s unless set.
    pub fn shutdown_deadline(mut self, limit: Duration) -> Self {
        self.shutdown_deadline = limit;
        self
    }
}
