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
        if self.len() > self.environment.max_live {
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
        let runtimes = self.runtimes();
        let mut idle = Vec::new();
        for (index, runtime) in runtimes.iter().enumerate() {
            runtime.any.idle(&mut |last_use, stream_id| idle.push((last_use, index, stream_id)));
        }
        if idle.is_empty() {
            // All are busy. Looking again at once would cost more than it can find.
            self.look_again_at.store(uses + self.environment.max_live as u64 / 16 + 1, Ordering::Relaxed);
        }
        let surplus = self.len().saturating_sub(self.environment.max_live);
        if surplus == 0 || idle.is_empty() {
            return;
        }
        let count = (surplus + self.environment.max_live / 16).min(idle.len());
        idle.select_nth_unstable_by_key(count - 1, |(last_use, ..)| *last_use);
        for (_, index, stream_id) in &idle[..count] {
            runtimes[*index].any.evict(stream_id);
        }
    }

    fn runtimes(&self) -> Vec<Runtime> {
        self.runtimes.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    fn create<A: Aggregate>(&self) -> Runtime {
        let runtime = Arc::new(AggregateRuntime::<A>::new(Arc::clone(&self.environment)));
        Runtime { typed: Arc::<AggregateRuntime<A>>::clone(&runtime), any: runtime }
    }
}

impl fmt::Debug for Aggregates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Aggregates").field("live", &self.len()).finish_non_exhaustive()
    }
}
