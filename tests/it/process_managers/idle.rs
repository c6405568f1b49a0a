//! Instances that have been idle for long, while the next event is there already.

use std::time::Duration;

use super::domain::*;
use crate::support::gate::Gate;
use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::testing::{TestClock, settle};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static GATE: RefCell<Option<Gate>> = const { RefCell::new(None) };
}

/// Ends when it has been idle, at the gate if there is one.
#[derive(Default, Serialize, Deserialize, Clone)]
struct Dozing {
    heard: u32,
}

#[process_manager(name = "dozing", interested_in = [Told], by = job, idle_timeout = "10s")]
impl Dozing {
    #[on(start_or_continue)]
    fn on_told(&mut self, event: &Told, process: &mut Process) {
        self.heard += 1;
        process.send(Do { task: event.job.clone(), what: format!("{} {}", self.heard, event.word) });
    }

    async fn on_idle(&mut self, process: &mut Process) -> Result<(), Broken> {
        let gate = GATE.with_borrow(Clone::clone);
        if let Some(gate) = gate {
            gate.pass().await;
        }
        process.send(Do { task: process.instance().to_owned(), what: format!("{} idle", self.heard) });
        process.stop();
        Ok(())
    }
}

application! {
    struct Bedroom {
        routers: [JobRouter],
        process_managers: [Dozing],
    }
}

struct House {
    store: MemoryStore,
    clock: TestClock,
    bedroom: Bedroom,
}

impl House {
    /// With one instance that has heard something.
    async fn new() -> Self {
        let clock = TestClock::new();
        let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
        let bedroom = Bedroom::builder(store.clone()).clock(clock.clone()).start().await.unwrap();
        let house = Self { store, clock, bedroom };
        house.tell("x").await;
        house.settle().await;
        house
    }

    async fn tell(&self, word: &str) {
        self.bedroom.dispatch(tell("a", word)).await.unwrap();
    }

    async fn settle(&self) {
        settle(&self.bedroom).within(LIMIT).await;
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn done(&self) -> Vec<String> {
        done(&self.store, "a").await
    }

    async fn has_instance(&self) -> bool {
        self.bedroom.process_manager("dozing").unwrap().instance("a").await.unwrap().is_some()
    }
}

/// T-389: the next event is there before the time is up, or behind it, and the process manager comes to both at once.
#[tokio::test]
async fn t_389_an_event_that_is_there_already_comes_before_the_instance_is_idle() {
    for (before, after) in [(9, 2), (12, 0)] {
        let house = House::new().await;
        let dozing = house.bedroom.process_manager("dozing").unwrap();
        dozing.handler().pause().await.unwrap();
        until(async || {
            let status = dozing.handler().status().await.unwrap();
            (status.state == cqrs::handler::HandlerState::Paused).then_some(())
        })
        .await;
        house.pass(before);
        house.tell("y").await;
        house.pass(after);
        dozing.handler().resume().await.unwrap();
        until(async || (house.done().await.len() >= 2).then_some(())).await;
        house.settle().await;
        assert_eq!(house.done().await, ["1 x", "2 y"], "the same instance has heard both");
        house.pass(10);
        house.settle().await;
        assert_eq!(house.done().await, ["1 x", "2 y", "2 idle"]);
        assert!(!house.has_instance().await);
        house.bedroom.shutdown().await;
    }
}

/// T-389, T-388: the instance ends because it is idle at the moment at which the next event comes: that one is handled, by
/// a new one.
#[tokio::test]
async fn t_389_an_event_that_comes_while_an_instance_ends_is_handled() {
    let house = House::new().await;
    let gate = Gate::shut();
    GATE.set(Some(gate.clone()));
    house.pass(10);
    soon(gate.arrival()).await;
    house.tell("y").await;
    gate.open();
    until(async || (house.done().await.len() >= 3).then_some(())).await;
    house.settle().await;
    assert_eq!(house.done().await, ["1 x", "1 idle", "1 y"]);
    assert!(house.has_instance().await);
    house.pass(10);
    house.settle().await;
    assert_eq!(house.done().await, ["1 x", "1 idle", "1 y", "1 idle"]);
    house.bedroom.shutdown().await;
}
