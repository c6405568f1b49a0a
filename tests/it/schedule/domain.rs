//! A tower with bells, and what these tests need of it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cqrs::MemoryStore;
use cqrs::clock::Clock as _;
use cqrs::prelude::*;
use cqrs::process_manager::ProcessManagerHandle;
use cqrs::schedule::{Schedule, ScheduleError, Scheduler};
use cqrs::store::Store;
use cqrs::testing::{TestClock, settle};
use serde::{Deserialize, Serialize};

use crate::support::log::events_of;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "bell.Rung")]
pub struct Rung {
    pub bell: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BellRouter, aggregate = Bell, identify_by = bell)]
pub struct Ring {
    pub bell: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = OtherRouter, aggregate = Bell, identify_by = bell)]
pub struct Foreign {
    pub bell: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the bell is cracked")]
pub struct Cracked;

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Bell;

/// Decided by somebody who may take for ever.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BellRouter, aggregate = Bell, identify_by = bell, handler = Ringer)]
pub struct Toll {
    pub bell: String,
}

/// What is wrong with a bell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It refuses.
    Cracked,
    Panics,
    /// Tolling it takes for ever.
    Stuck,
}

thread_local! {
    static FLAWS: RefCell<HashMap<String, Flaw>> = RefCell::default();
    static TRIES: RefCell<HashMap<String, usize>> = RefCell::default();
}

pub fn spoil(bell: &str, flaw: Flaw) {
    FLAWS.with_borrow_mut(|flaws| flaws.insert(bell.to_owned(), flaw));
}

pub fn mend(bell: &str) {
    FLAWS.with_borrow_mut(|flaws| flaws.remove(bell));
}

/// How often somebody has tried to ring a bell, in this thread.
pub fn tries(bell: &str) -> usize {
    TRIES.with_borrow(|tries| tries.get(bell).copied().unwrap_or_default())
}

fn flaw(bell: &str) -> Option<Flaw> {
    TRIES.with_borrow_mut(|tries| *tries.entry(bell.to_owned()).or_default() += 1);
    FLAWS.with_borrow(|flaws| flaws.get(bell).copied())
}

#[derive(Default)]
pub struct Ringer;

#[command_handler(aggregate = Bell)]
impl Ringer {
    #[execute]
    async fn toll(&self, _: &Bell, command: &Toll) -> Rung {
        if flaw(&command.bell) == Some(Flaw::Stuck) {
            std::future::pending::<()>().await;
        }
        Rung { bell: command.bell.clone() }
    }
}

#[aggregate(stream_prefix = "bell", error = Cracked)]
impl Bell {
    #[execute]
    fn ring(&self, command: &Ring) -> Result<Rung, Cracked> {
        match flaw(&command.bell) {
            Some(Flaw::Cracked) => Err(Cracked),
            Some(Flaw::Panics) => panic!("the bell comes down"),
            _ => Ok(Rung { bell: command.bell.clone() }),
        }
    }

    #[execute]
    fn foreign(&self, _command: &Foreign) {}

    #[apply]
    fn rung(&mut self, _event: &Rung) {}
}

#[derive(Router)]
pub struct BellRouter;

#[derive(Router)]
pub struct OtherRouter;

application! {
    pub struct Tower {
        routers: [BellRouter],
        process_managers: [Scheduler],
    }
}

application! {
    pub struct Silent {
        routers: [BellRouter],
    }
}

pub fn ring(bell: &str) -> Ring {
    Ring { bell: bell.to_owned() }
}

/// An application, and what it runs on.
pub struct Site<S = MemoryStore> {
    pub store: S,
    pub clock: TestClock,
    pub tower: Tower,
}

impl Site {
    pub async fn new() -> Self {
        let clock = TestClock::new();
        let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
        Self::on(store, clock, "first").await
    }
}

impl<S: Store + Clone> Site<S> {
    pub async fn on(store: S, clock: TestClock, node: &str) -> Self {
        let tower = Tower::builder(store.clone()).clock(clock.clone()).node(node).start().await.unwrap();
        Self { store, clock, tower }
    }

    pub fn after(&self, seconds: i64) -> DateTime<Utc> {
        self.clock.now() + chrono::Duration::seconds(seconds)
    }

    pub async fn once(&self, bell: &str, seconds: i64) -> Result<(), ScheduleError> {
        let schedule = Schedule::once(&ring(bell), self.after(seconds)).name(bell);
        self.tower.schedules().add(schedule.metadata("actor", "u-7")).await
    }

    pub async fn hourly(&self, bell: &str) -> Result<(), ScheduleError> {
        self.tower.schedules().add(Schedule::recurring(&ring(bell), "0 * * * *").unwrap().name(bell)).await
    }

    pub async fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        self.settle().await;
    }

    pub async fn settle(&self) {
        settle(&self.tower).within(LIMIT).await;
    }

    pub async fn rings(&self, bell: &str) -> usize {
        events_of(&self.store, &format!("bell-{bell}")).await.len()
    }

    pub fn scheduler(&self) -> ProcessManagerHandle<'_> {
        self.tower.process_manager(Scheduler::NAME).unwrap()
    }
}

pub const LIMIT: Duration = Duration::from_secs(20);

/// Asks until it is so.
#[track_caller]
pub fn until(mut ask: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let asked = async {
            while !ask().await {
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(LIMIT, asked).await;
        assert!(told.is_ok(), "not so within {LIMIT:?}, asked at {place}");
    }
}
