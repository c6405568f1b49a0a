use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use tokio::time::Instant;

use crate::aggregate::instance::{Instance, Pushed};
use crate::aggregate::worker;
use crate::aggregate::{Aggregate, AggregateSettings, Environment, Job};
use crate::ambient::Ambient;
use crate::store::StreamId;
use crate::telemetry;

/// The live instances of one aggregate type in one application instance.
pub(crate) struct AggregateRuntime<A: Aggregate> {
    pub(crate) environment: Arc<Environment>,
    pub(crate) settings: AggregateSettings<A>,
    hasher: RandomState,
    shards: Box<[Mutex<Shard<A>>]>,
}

type Shard<A> = HashMap<StreamId, Arc<Instance<A>>>;

/// Commands for different aggregates rarely meet at a lock with this many.
const SHARDS: usize = 16;

/// An aggregate that is in memory, for people who look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveAggregate {
    /// The name of its type.
    pub aggregate: &'static str,
    /// Its stream.
    pub stream_id: StreamId,
    /// The version of its state; `None` while it is being loaded.
    pub version: Option<u64>,
    /// How many commands wait for it.
    pub waiting: usize,
}

impl<A: Aggregate> AggregateRuntime<A> {
    pub(crate) fn new(environment: Arc<Environment>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { environment, settings: A::settings(), hasher: RandomState::new(), shards }
    }

    /// Hands a command to its aggregate, which is brought to life if need be. Waits while the aggregate's
    /// mailbox is full.
    ///
    /// A command that meets an instance on its way out of memory goes to the next one: none is lost.
    pub(crate) async fn submit(self: &Arc<Self>, stream_id: &StreamId, mut job: Job<A>) {
        loop {
            let instance = self.instance(stream_id);
            // Made before the queue is looked at, so that a retirement in between wakes this caller too.
            let space = instance.space.notified();
            match instance.push(job, self.settings.mailbox, self.environment.next_use()) {
                Pushed::Start => {
                    telemetry::aggregate::queued::<A>(&self.environment, || instance.waiting());
                    return self.start(Arc::clone(&instance));
                }
                Pushed::Queued => {
                    return telemetry::aggregate::queued::<A>(&self.environment, || instance.waiting());
                }
                Pushed::Full(back) => {
                    job = back;
                    telemetry::aggregate::mailbox_full::<A>(&self.environment);
                    space.await;
                }
                Pushed::Retired(back) => {
                    job = back;
                    self.forget(&instance);
                }
            }
        }
    }

    /// Runs the commands of an instance: here and now until they first have to wait, the rest in a task.
    ///
    /// Commands that never wait, as those on a store in memory, are spared a task each. What does wait must
    /// not depend on the caller, who may poll its dispatch no further: other commands would wait with it.
    fn start(self: &Arc<Self>, instance: Arc<Instance<A>>) {
        let run = worker::run(Arc::clone(self), instance);
        let mut run = Box::pin(self.environment.working.track_future(run));
        // Nobody is to be woken for this one poll: the task polls again at once.
        let mut context = Context::from_waker(Waker::noop());
        // In a task the commands would not see what the caller works on, so they do not see it here either.
        let first = Ambient::outside(|| run.as_mut().poll(&mut context));
        if first.is_pending() {
            self.environment.tasks.spawn(run);
        }
    }

    /// The live instance of a stream, if there is one.
    pub(crate) fn find(&self, stream_id: &StreamId) -> Option<Arc<Instance<A>>> {
        self.shard(stream_id).get(stream_id).cloned()
    }

    /// Takes a retired instance out of the map, unless a newer one has its place already.
    pub(crate) fn forget(&self, instance: &Arc<Instance<A>>) {
        let mut shard = self.shard(&instance.stream_id);
        if shard.get(&instance.stream_id).is_some_and(|known| Arc::ptr_eq(known, instance)) {
            shard.remove(&instance.stream_id);
            self.environment.live.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn instance(&self, stream_id: &StreamId) -> Arc<Instance<A>> {
        let mut shard = self.shard(stream_id);
        if let Some(instance) = shard.get(stream_id) {
            return Arc::clone(instance);
        }
        let instance = Arc::new(Instance::new(stream_id.clone()));
        shard.insert(stream_id.clone(), Arc::clone(&instance));
        self.environment.live.fetch_add(1, Ordering::Relaxed);
        instance
    }

    fn shard(&self, stream_id: &StreamId) -> MutexGuard<'_, Shard<A>> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash choose a shard")]
        let index = self.hasher.hash_one(stream_id) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn instances(&self) -> Vec<Arc<Instance<A>>> {
        let lock = |shard: &Mutex<Shard<A>>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.values().cloned().collect::<Vec<_>>()
        };
        self.shards.iter().flat_map(lock).collect()
    }

    /// Retires an instance if it is idle and `due` agrees; tells whether it did.
    fn passivate(&self, instance: &Arc<Instance<A>>, due: impl FnOnce(Option<Instant>) -> bool) -> bool {
        let Some(loaded) = instance.retire(due) else {
            return false;
        };
        self.forget(instance);
        if let Some(loaded) = loaded {
            self.snapshot_on_passivation(&instance.stream_id, &loaded);
        }
        true
    }
}

/// An [`AggregateRuntime`] whose aggregate type is no longer known.
pub(crate) trait AnyRuntime: Send + Sync {
    /// Retires what is due at `now`; gives when the next instance is.
    fn expire(&self, now: Instant) -> Option<Instant>;

    /// The idle instances, with when they were used last.
    fn idle(&self, found: &mut dyn FnMut(u64, StreamId));

    /// Retires an instance if it is idle.
    fn evict(&self, stream_id: &StreamId) -> bool;

    /// All instances.
    fn list(&self, found: &mut Vec<LiveAggregate>);
}

impl<A: Aggregate> AnyRuntime for AggregateRuntime<A> {
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for instance in self.instances() {
            let Some(at) = instance.expires_at() else { continue };
            let expired = at <= now && self.passivate(&instance, |at| at.is_some_and(|at| at <= now));
            // A busy instance answers anew when it is done.
            if !expired && at > now {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }

    fn idle(&self, found: &mut dyn FnMut(u64, StreamId)) {
        for instance in self.instances() {
            if let Some(last_use) = instance.idle_since_use() {
                found(last_use, instance.stream_id.clone());
            }
        }
    }

    fn evict(&self, stream_id: &StreamId) -> bool {
        self.find(stream_id).is_some_and(|instance| self.passivate(&instance, |_| true))
    }

    fn list(&self, found: &mut Vec<LiveAggregate>) {
        found.extend(self.instances().iter().filter(|instance| !instance.is_retired()).map(|instance| {
            LiveAggregate {
                aggregate: A::NAME,
                stream_id: instance.stream_id.clone(),
                version: instance.loaded().map(|loaded| loaded.version),
                waiting: instance.waiting(),
            }
        }));
    }
}
