//! An application's clock that jumps by days: nothing that waits for a time is lost, nothing comes twice, and the owners
//! of handlers stay where they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use cqrs::MemoryStore;
use cqrs::clock::Clock;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::schedule::{Schedule, Scheduler};
use cqrs::testing::{TestClock, settle};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::leases::domain::{Call, Careful, Desk, Fault, FaultyStore, RETRY, TTL, Teller, note};
use crate::leases::domain::{places, state, store_with_clock, told};
use crate::process_managers::domain::{Broken, Do, Foreman, JobRouter, LIMIT, Told, done, tell};

const HOUR: TimeDelta = TimeDelta::hours(1);
const DAY: TimeDelta = TimeDelta::days(1);

/// Says when an instance has been idle.
#[derive(Default, Serialize, Deserialize, Clone)]
struct Nagging;

#[process_manager(name = "nagging", interested_in = [Told], by = job, idle_timeout = "10s")]
impl Nagging {
    #[on(start_or_continue)]
    fn on_told(&mut self, _event: &Told) {}

    fn on_idle(&mut self, process: &mut Process) -> Result<(), Broken> {
        let task = format!("idle-{}", process.instance());
        process.send(Do { task, what: "idle".to_owned() });
        Ok(())
    }
}

application! {
    struct House {
        routers: [JobRouter],
        process_managers: [Foreman, Nagging, Scheduler],
    }
}

struct Site {
    store: MemoryStore,
    clock: TestClock,
    house: House,
}

impl Site {
    async fn new() -> Self {
        let (store, clock) = (MemoryStore::new(), TestClock::new());
        let house = House::builder(store.clone()).clock(clock.clone()).start().await.unwrap();
        let site = Self { store, clock, house };
        let ring = |task: &str| Do { task: task.to_owned(), what: "ring".to_owned() };
        let once = Schedule::once(&ring("once"), site.clock.now() + DAY * 2).name("once");
        let hourly = Schedule::recurring(&ring("hourly"), "0 * * * *").unwrap().name("hourly");
        site.house.schedules().add_all([once, hourly]).await.unwrap();
        site
    }

    async fn tell(&self, job: &str, word: &str) {
        self.house.dispatch(tell(job, word)).await.unwrap();
        self.settle().await;
    }

    async fn settle(&self) {
        settle(&self.house).within(LIMIT).await;
    }

    /// Moves the clock, also back.
    async fn jump(&self, by: TimeDelta) {
        self.clock.set(self.clock.now() + by);
        self.settle().await;
    }

    async fn done(&self, task: &str) -> Vec<String> {
        done(&self.store, task).await
    }

    /// How often the clock has rung: once, every hour; and how often the job was found idle.
    async fn rings(&self) -> (usize, usize, usize) {
        (self.done("once").await.len(), self.done("hourly").await.len(), self.done("idle-a").await.len())
    }
}

/// Whatever has become due comes once and in the order of its times; of times that recur the last one.
#[tokio::test]
async fn l_037_what_becomes_due_by_a_jump_of_days_comes_once() {
    let site = Site::new().await;
    site.tell("a", "start:by=day/86400000:in=days/259200000/mail:by=hour/3600000:by=minute/60000").await;
    site.jump(DAY * 10).await;
    assert_eq!(site.done("a").await, ["late-minute", "late-hour", "late-day", "mail"]);
    assert_eq!(site.rings().await, (1, 1, 1));
    for round in 0..3 {
        site.jump(TimeDelta::zero()).await;
        assert_eq!(site.rings().await, (1, 1, 1 + round), "nothing comes again");
        site.jump(TimeDelta::seconds(10)).await;
        assert_eq!(site.rings().await, (1, 1, 2 + round), "what is idle is told so each time");
    }
    site.jump(HOUR).await;
    assert_eq!(site.rings().await, (1, 2, 5));
    assert_eq!(site.done("a").await.len(), 4);
    site.house.shutdown().await;
}

/// What is set by the earlier time comes by it; what waits for a time that was near waits until that time comes; and what
/// has come does not come again.
#[tokio::test]
async fn l_037_a_jump_back_by_days_loses_nothing_and_repeats_nothing() {
    let site = Site::new().await;
    site.tell("a", "start:by=first/3600000:in=later/5400000/mail").await;
    site.jump(HOUR).await;
    assert_eq!(site.done("a").await, ["late-first"]);
    assert_eq!(site.rings().await, (0, 1, 1));

    site.jump(DAY * -3).await;
    assert_eq!(site.done("a").await, ["late-first"]);
    assert_eq!(site.rings().await, (0, 1, 1));
    site.tell("a", "go:by=soon/1000:by=first/3600000").await;
    site.jump(TimeDelta::seconds(1)).await;
    assert_eq!(site.done("a").await, ["late-first", "late-soon"]);
    site.jump(TimeDelta::seconds(9)).await;
    assert_eq!(site.rings().await, (0, 1, 2), "ten seconds after the event, by the clock of now");
    site.jump(HOUR).await;
    assert_eq!(site.done("a").await, ["late-first", "late-soon", "late-first"], "it was set anew");
    assert_eq!(site.rings().await, (0, 1, 3), "the hour has struck before");

    // Back to where it came from, and past the hour that it waits for.
    site.jump(DAY * 3).await;
    assert_eq!(site.done("a").await, ["late-first", "late-soon", "late-first", "mail"]);
    assert_eq!(site.rings().await, (0, 2, 4));
    site.jump(DAY * 2).await;
    assert_eq!(site.rings().await, (1, 3, 5));
    site.jump(DAY * -30).await;
    site.jump(DAY * 30).await;
    assert_eq!(site.rings().await, (1, 3, 5));
    assert_eq!(site.done("a").await.len(), 4);
    site.house.shutdown().await;
}

/// The same with an end and a beginning in between.
#[tokio::test]
async fn l_037_a_clock_that_was_put_back_while_nothing_ran_repeats_nothing() {
    let site = Site::new().await;
    site.tell("a", "start:by=first/3600000:by=second/7200000").await;
    site.jump(HOUR).await;
    site.house.shutdown().await;
    let Site { store, clock, .. } = site;
    clock.set(clock.now() - DAY * 3);
    let house = House::builder(store.clone()).clock(clock.clone()).start().await.unwrap();
    let site = Site { store, clock, house };
    site.settle().await;
    assert_eq!(site.done("a").await, ["late-first"]);
    assert_eq!(site.rings().await, (0, 1, 1));
    site.jump(DAY * 3 + HOUR).await;
    assert_eq!(site.done("a").await, ["late-first", "late-second"]);
    assert_eq!(site.rings().await, (0, 2, 2));
    site.house.shutdown().await;
}

/// A clock that is put back by a day behind one of the looks at it.
#[derive(Clone, Debug)]
struct Jumping {
    clock: TestClock,
    looks: Arc<AtomicUsize>,
    at: usize,
}

impl Clock for Jumping {
    fn now(&self) -> DateTime<Utc> {
        let now = self.clock.now();
        if self.looks.fetch_add(1, Ordering::SeqCst) == self.at {
            self.clock.set(now - DAY);
        }
        now
    }

    fn wait_until(&self, at: DateTime<Utc>) -> BoxFuture<'_, ()> {
        self.clock.wait_until(at)
    }
}

/// Whichever look at the clock it is put back behind.
#[tokio::test]
async fn l_037_a_clock_that_is_put_back_in_the_midst_of_it_repeats_nothing() {
    for at in 0.. {
        let (store, clock) = (MemoryStore::new(), TestClock::new());
        let jumping = Jumping { clock: clock.clone(), looks: Arc::default(), at };
        let house = House::builder(store.clone()).clock(jumping.clone()).start().await.unwrap();
        let begin = TestClock::new().now();
        let ring = Do { task: "hourly".to_owned(), what: "ring".to_owned() };
        let hourly = Schedule::recurring(&ring, "0 * * * *").unwrap().name("hourly");
        house.schedules().add(hourly).await.unwrap();
        house.dispatch(tell("a", "start:by=x/3600000:in=y/3600000/mail")).await.unwrap();
        settle(&house).within(LIMIT).await;
        for hour in 1..=2 {
            // Once more where it was put back meanwhile.
            for _ in 0..2 {
                clock.set(begin + HOUR * hour);
                settle(&house).within(LIMIT).await;
            }
            assert_eq!(done(&store, "hourly").await.len(), usize::try_from(hour).unwrap(), "at look {at}");
            let mut of_a = done(&store, "a").await;
            of_a.sort_unstable();
            assert_eq!(of_a, ["late-x", "mail"], "at look {at}");
        }
        house.shutdown().await;
        if jumping.looks.load(Ordering::SeqCst) <= at {
            assert!(at > 20, "there were {at} looks only");
            return;
        }
    }
}

/// Leases are counted by the store's clock, and believed in by the monotonic time of the node: the clocks of applications
/// have no part in it.
#[tokio::test(start_paused = true)]
async fn pg_098_leases_do_not_depend_on_the_clocks_of_applications() {
    let (store, store_clock) = store_with_clock();
    let (way, (teller, mut handled)) = (FaultyStore::on(&store), Teller::new());
    let clocks = [TestClock::new(), TestClock::new()];
    let builder = Desk::builder(way.clone()).node("a").clock(clocks[0].clone());
    let a = builder.event_handler(Careful(teller.on("a"))).start().await.unwrap();
    let builder = Desk::builder(store.clone()).node("b").clock(clocks[1].clone());
    let b = builder.event_handler(Careful(teller.on("b"))).start().await.unwrap();
    let begin = clocks[0].now();
    let jumps = [(10, 0), (0, 10), (10, -10), (-20, 30), (0, 0)];
    for (position, (of_a, of_b)) in (1..).zip(jumps) {
        clocks[0].set(begin + DAY * of_a);
        clocks[1].set(begin + DAY * of_b);
        tokio::time::sleep(2 * RETRY).await;
        b.dispatch(note("x", "text")).consistency(Strong).await.unwrap();
        assert_eq!(places(&told(&mut handled)), [("a", position)]);
        assert_eq!((state(&a, "careful").await, state(&b, "careful").await), OWNED_BY_A);
    }
    // Not even when nothing is heard of the owner: what counts is the time of the store.
    way.fail(Call::RenewLeases, Fault::Hang, usize::MAX);
    clocks[1].set(begin + DAY * 365);
    tokio::time::sleep(5 * RETRY).await;
    assert_eq!((state(&a, "careful").await, state(&b, "careful").await), OWNED_BY_A);
    store_clock.advance(TTL);
    tokio::time::sleep(2 * RETRY).await;
    assert_eq!(state(&b, "careful").await, HandlerState::Running);
    way.heal(Call::RenewLeases);
    a.shutdown().await;
    b.shutdown().await;
}

const OWNED_BY_A: (HandlerState, HandlerState) = (HandlerState::Running, HandlerState::Passive);
