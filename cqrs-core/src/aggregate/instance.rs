use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::aggregate::{Aggregate, Job, Lifespan};
use crate::store::StreamId;

/// One aggregate in memory: its state, and the commands that wait for it.
///
/// There is at most one of them for a stream in an application instance. While it has commands, one task
/// runs them; an idle instance is this value and nothing else.
pub(crate) struct Instance<A: Aggregate> {
    pub(crate) stream_id: StreamId,
    inner: Mutex<Inner<A>>,
    /// Woken when the queue of a full instance has room again, once for each command that leaves the queue;
    /// all are woken when the instance is retired.
    ///
    /// Nobody waits for ever: as long as somebody does, there are commands in the queue, whose leaving wakes
    /// the next, or somebody was woken who will put one there.
    pub(crate) space: Notify,
}

struct Inner<A: Aggregate> {
    queue: VecDeque<Job<A>>,
    /// The state as of the last commit; there is none before the first load and after a panic.
    loaded: Option<Loaded<A>>,
    phase: Phase,
    expiry: Expiry,
    last_use: u64,
}

/// Whether a task runs the instance's commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    Running,
    /// It has left the map, and takes no command any more.
    Retired,
}

/// When an idle instance leaves memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expiry {
    /// No command has said anything yet.
    Unset,
    At(Instant),
    Never,
}

/// A state, as it stands in the store.
pub(crate) struct Loaded<A> {
    pub(crate) state: Arc<A>,
    pub(crate) version: u64,
    /// The version of the last snapshot; 0 when there is none.
    pub(crate) snapshot_version: u64,
}

/// What became of a command that was to be queued.
pub(crate) enum Pushed<A: Aggregate> {
    /// It is in the queue, and a task must be spawned to run it.
    Start,
    /// It is in the queue of a running task.
    Queued,
    /// The queue is full.
    Full(Job<A>),
    /// The instance has left memory; there may be a newer one.
    Retired(Job<A>),
}

/// A command that left the queue.
pub(crate) struct Taken<A: Aggregate> {
    pub(crate) job: Job<A>,
    /// Whether others waited behind it.
    pub(crate) others_wait: bool,
}

/// What the task of an instance does next.
#[expect(clippy::large_enum_variant, reason = "it is returned and taken apart at once, never kept")]
pub(crate) enum Next<A: Aggregate> {
    Job(Taken<A>),
    /// Nothing waits, and the instance stays.
    Idle,
    /// Nothing waits, and the instance has to leave the map.
    Retired,
}

/// What the outcome of a command means for the instance.
#[derive(Clone, Copy)]
pub(crate) enum Settle {
    /// It was carried out, and the answer of the lifespan counts.
    Done(Lifespan),
    /// It was refused: what is left of an earlier answer is never shortened.
    Refused(Lifespan),
    /// It was not run.
    Skipped,
}

impl<A: Aggregate> Instance<A> {
    pub(crate) fn new(stream_id: StreamId) -> Self {
        let inner = Inner {
            queue: VecDeque::new(),
            loaded: None,
            phase: Phase::Idle,
            expiry: Expiry::Unset,
            last_use: 0,
        };
        Self { stream_id, inner: Mutex::new(inner), space: Notify::new() }
    }

    /// Queues a command.
    pub(crate) fn push(&self, job: Job<A>, mailbox: usize, now_use: u64) -> Pushed<A> {
        let mut inner = self.lock();
        if inner.phase == Phase::Retired {
            return Pushed::Retired(job);
        }
        if inner.queue.len() >= mailbox {
            return Pushed::Full(job);
        }
        inner.queue.push_back(job);
        inner.last_use = now_use;
        if inner.phase == Phase::Running {
            return Pushed::Queued;
        }
        inner.phase = Phase::Running;
        Pushed::Start
    }

    /// Begins a run: the state, and the first command. The queue is not empty, since a run begins with a
    /// push.
    pub(crate) fn begin(&self) -> (Option<Loaded<A>>, Option<Taken<A>>) {
        let mut inner = self.lock();
        let (loaded, taken) = (inner.loaded.clone(), inner.take());
        drop(inner);
        // Each command that leaves the queue wakes one that waits for room; those that woke leave it in their
        // turn, so that none is forgotten.
        self.space.notify_one();
        (loaded, taken)
    }

    /// A further command, if one waits, to be appended together with the one that was taken before.
    pub(crate) fn take(&self) -> Option<Job<A>> {
        let taken = self.lock().take()?;
        self.space.notify_one();
        Some(taken.job)
    }

    /// Ends a command behind which the run has others already: keeps the state.
    pub(crate) fn keep(&self, loaded: Option<&Loaded<A>>, settle: Settle, now: Instant) {
        self.lock().keep(loaded, settle, now);
    }

    /// Ends a command: keeps the state, and gives the next command. Without one the run is over; an instance
    /// without a state, or one that its lifespan ends, is retired then.
    pub(crate) fn settle(&self, loaded: Option<&Loaded<A>>, settle: Settle, now: Instant) -> Next<A> {
        let mut inner = self.lock();
        let stops = inner.keep(loaded, settle, now);
        if let Some(taken) = inner.take() {
            drop(inner);
            self.space.notify_one();
            return Next::Job(taken);
        }
        // A burst must not leave its queue's memory to an instance that is idle for half an hour.
        inner.queue = VecDeque::new();
        if stops || inner.loaded.is_none() {
            inner.phase = Phase::Retired;
            drop(inner);
            // Whoever waited for room finds out and goes to the next instance.
            self.space.notify_waiters();
            return Next::Retired;
        }
        inner.phase = Phase::Idle;
        Next::Idle
    }

    /// Retires an idle instance; gives its state when it did.
    pub(crate) fn retire(&self, due: impl FnOnce(Option<Instant>) -> bool) -> Option<Option<Loaded<A>>> {
        let mut inner = self.lock();
        if inner.phase != Phase::Idle || !due(inner.expires_at()) {
            return None;
        }
        inner.phase = Phase::Retired;
        let loaded = inner.loaded.take();
        drop(inner);
        self.space.notify_waiters();
        Some(loaded)
    }

    /// Retires the instance whatever it is doing; the callers of the commands that wait are told that theirs did
    /// not run.
    pub(crate) fn abandon(&self) {
        let mut inner = self.lock();
        inner.phase = Phase::Retired;
        let dropped = (std::mem::take(&mut inner.queue), inner.loaded.take());
        drop(inner);
        drop(dropped);
        self.space.notify_waiters();
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.lock().phase == Phase::Retired
    }

    /// The state as of the last commit.
    pub(crate) fn loaded(&self) -> Option<Loaded<A>> {
        self.lock().loaded.clone()
    }

    /// When the instance was used last, unless it is busy.
    pub(crate) fn idle_since_use(&self) -> Option<u64> {
        let inner = self.lock();
        (inner.phase == Phase::Idle).then_some(inner.last_use)
    }

    pub(crate) fn expires_at(&self) -> Option<Instant> {
        self.lock().expires_at()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.lock().queue.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner<A>> {
        // No user code runs under the lock, so a poisoned one still holds a whole value.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Aggregate> Inner<A> {
    fn take(&mut self) -> Option<Taken<A>> {
        let job = self.queue.pop_front()?;
        Some(Taken { job, others_wait: !self.queue.is_empty() })
    }

    /// Takes over what a command left; tells whether the instance is to stop.
    fn keep(&mut self, loaded: Option<&Loaded<A>>, settle: Settle, now: Instant) -> bool {
        self.loaded = loaded.cloned();
        self.renew(settle, now)
    }

    fn expires_at(&self) -> Option<Instant> {
        match self.expiry {
            Expiry::At(at) => Some(at),
            Expiry::Unset | Expiry::Never => None,
        }
    }

    /// Takes the lifespan's answer over; tells whether the instance is to stop.
    fn renew(&mut self, settle: Settle, now: Instant) -> bool {
        let (lifespan, earlier) = match settle {
            Settle::Done(lifespan) => (lifespan, Expiry::Unset),
            Settle::Refused(lifespan) => (lifespan, self.expiry),
            Settle::Skipped => return false,
        };
        let asked = match lifespan {
            Lifespan::KeepFor(duration) => now.checked_add(duration).map_or(Expiry::Never, Expiry::At),
            Lifespan::Forever => Expiry::Never,
            Lifespan::Stop | Lifespan::StopAfterSnapshot => {
                // In case the commands that still wait are not run, so that nobody else asks the lifespan.
                self.expiry = Expiry::At(now);
                return true;
            }
        };
        self.expiry = match (asked, earlier) {
            (Expiry::At(asked), Expiry::At(earlier)) => Expiry::At(asked.max(earlier)),
            (_, Expiry::Never) => Expiry::Never,
            (asked, _) => asked,
        };
        false
    }
}

impl<A: Aggregate> Loaded<A> {
    /// The state behind these events, which lead to `changed`.
    pub(crate) fn after(&self, events: &[A::Event], changed: Option<A>) -> Self {
        Self {
            state: changed.map_or_else(|| Arc::clone(&self.state), Arc::new),
            version: self.version + events.len() as u64,
            snapshot_version: self.snapshot_version,
        }
    }
}

impl<A> Clone for Loaded<A> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            version: self.version,
            snapshot_version: self.snapshot_version,
        }
    }
}
