use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

use tokio::time::Instant;

use crate::aggregate::live::AnyRuntime;
use crate::aggregate::{Aggregate, AggregateRuntime, Environment, Job, LiveAggregate};
use crate::store::StreamId;

/// The live aggregates of an application instance, of all types, and the bound on their number.
pub(crate) struct Aggregates {
    environment: Arc<Environment>,
    runtimes: RwLock<HashMap<TypeId, Runtime>>,
    /// Held by whoever makes room; one at a time is enough.
    making_room: Mutex<()>,
    /// After how many uses of instances it is worth looking for idle ones again.
    look_again_at: AtomicU64,
}

#[derive(Clone)]
struct Runtime {
    typed: Arc<dyn Any + Send + Sync>,
    any: Arc<dyn AnyRuntime>,
}

impl Aggregates {
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            environment: Arc::new(environment),
            runtimes: RwLock::default(),
            making_room: Mutex::default(),
            look_again_at: AtomicU64::new(0),
        }
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The runtime of an aggregate type.
    pub(crate) fn of<A: Aggregate>(&self) -> Arc<AggregateRuntime<A>> {
        let id = TypeId::of::<A>();
        let known = self
            .runtimes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .map(|runtime| Arc::clone(&runtime.typed));
        let runtime = known.unwrap_or_else(|| {
            let mut runtimes = self.runtimes.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&runtimes.entry(id).or_insert_with(|| self.create::<A>()).typed)
        });
        runtime.downcast().expect("a runtime is kept under the type of its aggregate")
    }

    /// Hands a command to its aggregate, and makes room when too many are alive.
    pub(crate) async fn submit<A: Aggregate>(
        &self,
        runtime: &Arc<AggregateRuntime<A>>,
        stream_id: &StreamId,
        job: Job<A>,
    ) {
        runtime.submit(stream_id, job).await;
        if self.len() > self.environment.bound.current() {
            self.make_room();
        }
    }

    /// How many aggregates are alive.
    pub(crate) fn len(&self) -> usize {
        self.environment.live.load(Ordering::Relaxed)
    }

    /// All live aggregates.
    pub(crate) fn list(&self) -> Vec<LiveAggregate> {
        let mut found = Vec::new();
        self.runtimes().iter().for_each(|runtime| runtime.any.list(&mut found));
        found.sort_by(|one, other| one.stream_id.cmp(&other.stream_id));
        found
    }

    /// Retires what is due at `now`; gives when the next instance is.
    pub(crate) fn expire(&self, now: Instant) -> Option<Instant> {
        self.runtimes().iter().filter_map(|runtime| runtime.any.expire(now)).min()
    }

    /// Retires the least recently used idle instances: as many as are too many, and a sixteenth of the bound
    /// on top, so that looking for them is rare. Busy instances stay, so that the bound may be exceeded by
    /// their number.
    fn make_room(&self) {
        let _alone = match self.making_room.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let uses = self.environment.uses();
        if uses < self.look_again_at.load(Ordering::Relaxed) {
            return;
        }
        let bound = self.environment.bound.current();
        let idle = Idle::of(self.runtimes());
        if idle.is_empty() {
            // All are busy. Looking again at once would cost more than it can find.
            self.look_again_at.store(uses + bound as u64 / 16 + 1, Ordering::Relaxed);
        }
        let surplus = self.len().saturating_sub(bound);
        if surplus == 0 {
            return;
        }
        let retired = idle.retire(surplus + bound / 16);
        if self.environment.bound.is_under_pressure() {
            self.environment.bound.count(retired);
        }
    }

    /// Retires the less recently used half of the instances, as far as they are idle, and lowers the bound to what is
    /// left, so that memory is not filled again at once; gives how many left.
    pub(crate) fn relieve(&self) -> usize {
        let _alone = self.making_room.lock().unwrap_or_else(PoisonError::into_inner);
        let retired = Idle::of(self.runtimes()).retire(self.len().div_ceil(2));
        self.environment.bound.count(retired);
        self.environment.bound.lower(self.len());
        retired
    }

    fn runtimes(&self) -> Vec<Runtime> {
        self.runtimes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn create<A: Aggregate>(&self) -> Runtime {
        let runtime = Arc::new(AggregateRuntime::<A>::new(Arc::clone(&self.environment)));
        Runtime { typed: Arc::<AggregateRuntime<A>>::clone(&runtime), any: runtime }
    }
}

/// The idle instances of the moment.
struct Idle {
    runtimes: Vec<Runtime>,
    /// When each was used last, the index of its runtime, and its stream.
    instances: Vec<(u64, usize, StreamId)>,
}

impl Idle {
    fn of(runtimes: Vec<Runtime>) -> Self {
        let mut instances = Vec::new();
        for (index, runtime) in runtimes.iter().enumerate() {
            runtime.any.idle(&mut |last_use, stream_id| instances.push((last_use, index, stream_id)));
        }
        Self { runtimes, instances }
    }

    fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// Retires the least recently used ones, at most `count`; gives how many were idle still.
    fn retire(mut self, count: usize) -> usize {
        let count = count.min(self.instances.len());
        if count == 0 {
            return 0;
        }
        self.instances.select_nth_unstable_by_key(count - 1, |(last_use, ..)| *last_use);
        let retired =
            self.instances[..count].iter().filter(|(_, index, id)| self.runtimes[*index].any.evict(id));
        retired.count()
    }
}

impl fmt::Debug for Aggregates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Aggregates").field("live", &self.len()).finish_non_exhaustive()
    }
}
