//! Memory that runs short: idle instances leave it, the bound falls, and nothing is lost.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::memory_pressure::{MemoryMeter, MemoryStatus, MemoryUse};
use tokio::sync::Notify;

use crate::support::gate::Gate;
use crate::support::log::sound_log;
use crate::support::tally::{Held, Tallies, add, add_held};

/// Shows what a test says, in percent.
#[derive(Clone, Debug, Default)]
struct Gauge(Arc<Shown>);

#[derive(Debug, Default)]
struct Shown {
    /// `UNKNOWN` or so many percent.
    percent: AtomicU64,
    looks: AtomicU64,
    looked: Notify,
}

const UNKNOWN: u64 = u64::MAX;
const BROKEN: u64 = u64::MAX - 1;

impl MemoryMeter for Gauge {
    fn measure(&self) -> Option<MemoryUse> {
        self.0.looks.fetch_add(1, Ordering::SeqCst);
        self.0.looked.notify_waiters();
        match self.0.percent.load(Ordering::SeqCst) {
            UNKNOWN => None,
            BROKEN => panic!("on purpose"),
            percent => Some(MemoryUse { used: percent * 10, limit: 1_000 }),
        }
    }
}

impl Gauge {
    /// Shows this from now on, until the application has seen it and done what is to be done about it.
    async fn show(&self, percent: u64) {
        self.0.percent.store(percent, Ordering::SeqCst);
        // The first look begins behind that; when there is another one, it is over.
        for _ in 0..2 {
            self.0.looked.notified().await;
        }
    }

    fn looks(&self) -> u64 {
        self.0.looks.load(Ordering::SeqCst)
    }
}

struct House {
    tallies: Tallies,
    store: MemoryStore,
    gauge: Gauge,
}

async fn house(config: Config, gate: Gate) -> House {
    let (store, gauge) = (MemoryStore::new(), Gauge::default());
    let builder = Tallies::builder(store.clone()).config(config.max_live_aggregates(800));
    let tallies = builder.memory_meter(gauge.clone()).command_handler(Held(gate)).start().await.unwrap();
    House { tallies, store, gauge }
}

impl House {
    async fn add(&self, ids: impl IntoIterator<Item = u32>) {
        for id in ids {
            self.tallies.dispatch(add(&id.to_string(), 1)).await.unwrap();
        }
    }

    fn live(&self) -> Vec<u32> {
        let live = self.tallies.live_aggregates();
        let mut ids: Vec<u32> =
            live.iter().filter_map(|live| live.stream_id.identity().parse().ok()).collect();
        ids.sort_unstable();
        ids
    }

    async fn memory(&self) -> MemoryStatus {
        self.tallies.health().await.unwrap().memory
    }
}

/// Each showing is looked at twice, so that half of them leaves twice.
#[tokio::test(start_paused = true)]
async fn n_27_the_less_recently_used_leave_when_memory_runs_short() {
    let house = house(Config::new(), Gate::default()).await;
    house.add(0..100).await;
    house.gauge.show(84).await;
    assert_eq!(house.live().len(), 100);
    assert!(!house.memory().await.is_under_pressure);
    house.gauge.show(85).await;
    let memory = house.memory().await;
    let live = house.live();
    assert_eq!(live, (75..100).collect::<Vec<_>>(), "who was used last stays");
    assert!(memory.is_under_pressure);
    assert_eq!(memory.memory, Some(MemoryUse { used: 850, limit: 1_000 }));
    assert_eq!(memory.passivated, 100 - live.len() as u64);
    assert_eq!(memory.max_live_aggregates, live.len());
    // Who has left comes back as it was.
    assert_eq!(house.tallies.dispatch(add("0", 1)).await.unwrap().version(), 2);
    assert_eq!(sound_log(&house.store).await.len(), 101);
    house.tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn n_27_the_bound_is_lowered_until_there_is_memory_again() {
    let house = house(Config::new(), Gate::default()).await;
    house.add(0..100).await;
    // Again and again, down to a hundredth.
    while house.memory().await.max_live_aggregates > 8 {
        house.gauge.show(99).await;
    }
    let floor = house.memory().await;
    assert_eq!(floor.max_live_aggregates, 8);
    // Between the marks it stays there, and commands go on.
    house.gauge.show(70).await;
    house.add(0..100).await;
    assert!(house.live().len() <= 8, "{:?}", house.live());
    let memory = house.memory().await;
    assert!(memory.is_under_pressure && memory.passivated > floor.passivated);
    house.gauge.show(69).await;
    let memory = house.memory().await;
    assert_eq!((memory.max_live_aggregates, memory.is_under_pressure), (800, false));
    let passivated = memory.passivated;
    house.add(0..100).await;
    assert_eq!(house.live().len(), 100);
    assert_eq!(house.memory().await.passivated, passivated);
    assert_eq!(sound_log(&house.store).await.len(), 300, "nothing is lost");
    house.tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn n_27_who_is_at_work_stays() {
    let gate = Gate::shut();
    // So often that the command does not run out of time meanwhile.
    let config = Config::new().memory_interval(Duration::from_millis(10));
    let house = house(config, gate.clone()).await;
    let busy = house.tallies.dispatch(add_held("7", 1)).into_future();
    let meanwhile = async {
        gate.arrival().await;
        house.add(100..110).await;
        // Each look takes half of the rest.
        while house.live().len() > 1 {
            house.gauge.show(100).await;
        }
        assert_eq!(house.live(), [7]);
        gate.open();
    };
    let (result, ()) = tokio::join!(busy, meanwhile);
    assert_eq!(result.unwrap().version(), 1);
    house.tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn marks_are_a_matter_of_configuration() {
    let config = Config::new().memory_high_water(50).memory_low_water(60);
    let house = house(config.memory_interval(Duration::from_secs(60)), Gate::default()).await;
    house.add(0..10).await;
    house.gauge.show(50).await;
    assert!(house.memory().await.is_under_pressure);
    house.gauge.show(49).await;
    assert!(!house.memory().await.is_under_pressure, "a low-water mark above the other one counts as that");
    house.tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn where_no_limit_is_known_nothing_happens() {
    let house = house(Config::new(), Gate::default()).await;
    house.add(0..10).await;
    house.gauge.show(UNKNOWN).await;
    assert_eq!(house.live().len(), 10);
    let memory = house.memory().await;
    assert_eq!((memory.memory, memory.is_under_pressure), (None, false));
    house.tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_panics_is_asked_again() {
    let house = house(Config::new(), Gate::default()).await;
    house.add(0..10).await;
    house.gauge.show(BROKEN).await;
    house.add(10..20).await;
    house.gauge.show(90).await;
    assert!(house.memory().await.is_under_pressure);
    house.tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_looks_when_memory_is_ignored() {
    let house = house(Config::new().ignore_memory(), Gate::default()).await;
    house.gauge.0.percent.store(100, Ordering::SeqCst);
    house.add(0..10).await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    house.add(0..10).await;
    assert_eq!((house.gauge.looks(), house.live().len()), (0, 10));
    assert!(house.tallies.shutdown().await.is_clean());
}

/// What the machine tells is plausible.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_this_process_is_known() {
    let memory = cqrs::memory_pressure::SystemMemory.measure().unwrap();
    assert!(memory.used > 0 && memory.used < 2 * memory.limit, "{memory}");
}
