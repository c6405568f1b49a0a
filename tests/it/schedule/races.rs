//! Those who schedule and cancel at the moment at which others do, or at which the time has come.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::domain::*;
use crate::applications::faulty_store::{Call, Fault, FaultyStore};
use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::schedule::{Schedule, ScheduleError, Scheduler};
use cqrs::store::EventStore as _;
use cqrs::testing::TestClock;
use tokio::sync::Notify;
use tokio::task::JoinSet;

async fn site() -> Site<FaultyStore> {
    Site::on(FaultyStore::default(), TestClock::new(), "only").await
}

/// A call to the store that waits.
struct Held {
    store: FaultyStore,
    call: Call,
    before: usize,
    go_on: Arc<Notify>,
}

impl Held {
    /// Has the next call of a kind wait.
    fn next(store: &FaultyStore, call: Call) -> Self {
        let (store, go_on) = (store.clone(), Arc::new(Notify::new()));
        store.fail(call, Fault::Hold(Arc::clone(&go_on)), 1);
        Self { before: store.calls(call), store, call, go_on }
    }

    async fn is_made(&self) {
        until(async || self.store.calls(self.call) > self.before).await;
    }

    fn go_on(&self) {
        self.go_on.notify_one();
    }
}

impl Site<FaultyStore> {
    /// Lets the scheduler take up what is due, up to when it writes that down.
    async fn take_up(&self, seconds: u64) -> Held {
        let held = Held::next(&self.store, Call::Commit);
        self.clock.advance(Duration::from_secs(seconds));
        held.is_made().await;
        held
    }
}

/// T-446: the scheduler has read that it is due, and writes that it takes it up a moment too late.
#[tokio::test]
async fn t_446_what_is_cancelled_while_it_is_taken_up_is_not_carried_out() {
    let site = site().await;
    site.once("a", 3_600).await.unwrap();
    site.once("b", 3_600).await.unwrap();
    site.hourly("c").await.unwrap();
    let taken_up = site.take_up(3_600).await;
    site.tower.schedules().cancel("a").await.unwrap();
    site.tower.schedules().cancel("c").await.unwrap();
    taken_up.go_on();
    site.settle().await;
    site.advance(10 * 3_600).await;
    assert_eq!((site.rings("a").await, site.rings("b").await, site.rings("c").await), (0, 1, 0));
    assert_eq!(site.tower.schedules().next(10).await.unwrap(), []);
    let status = site.scheduler().handler().status().await.unwrap();
    assert_eq!((status.last_error, status.state.is_down()), (None, false));
    site.once("a", 1).await.unwrap();
    site.advance(1).await;
    assert_eq!(site.rings("a").await, 1, "the scheduler goes on");
}

/// T-446
#[tokio::test]
async fn t_446_what_is_replaced_while_it_is_taken_up_comes_at_its_new_time() {
    let site = site().await;
    site.once("a", 10).await.unwrap();
    site.once("b", 10).await.unwrap();
    let taken_up = site.take_up(10).await;
    site.tower.schedules().cancel("a").await.unwrap();
    site.once("a", 10).await.unwrap();
    taken_up.go_on();
    until(async || site.rings("b").await == 1).await;
    site.settle().await;
    assert_eq!(site.rings("a").await, 0);
    assert!(site.tower.schedules().get("a").await.unwrap().is_some());
    site.advance(10).await;
    assert_eq!(site.rings("a").await, 1);
}

/// T-446: whoever cancels has seen it, and is a moment too late.
#[tokio::test]
async fn t_446_what_is_taken_up_while_it_is_cancelled_is_not_scheduled_any_more() {
    let site = site().await;
    site.once("a", 3_600).await.unwrap();
    site.hourly("b").await.unwrap();
    for (name, is_cancelled) in [("a", false), ("b", true)] {
        let schedules = site.tower.schedules();
        let cancel = Held::next(&site.store, Call::ChangeRecords);
        let cancelling = async {
            match schedules.cancel(name).await {
                Ok(()) => true,
                Err(ScheduleError::NotScheduled { .. }) => false,
                Err(error) => panic!("{error:?}"),
            }
        };
        let meanwhile = async {
            cancel.is_made().await;
            site.advance(3_600).await;
            cancel.go_on();
        };
        assert_eq!(tokio::join!(cancelling, meanwhile).0, is_cancelled, "{name}");
    }
    assert_eq!((site.rings("a").await, site.rings("b").await), (1, 2));
    site.advance(10 * 3_600).await;
    assert_eq!((site.rings("a").await, site.rings("b").await), (1, 2));
    assert_eq!(site.tower.schedules().next(10).await.unwrap(), []);
}

/// It is written down that a time has come, and the scheduler is not told so: it finds it changed, and its command sent.
#[tokio::test]
async fn what_was_taken_up_without_an_answer_is_carried_out_once() {
    let site = site().await;
    site.once("a", 10).await.unwrap();
    site.once("b", 10).await.unwrap();
    site.store.fail(Call::CommitAnswer, Fault::Unavailable, 1);
    site.advance(10).await;
    until(async || (site.rings("a").await, site.rings("b").await) == (1, 1)).await;
    site.advance(10).await;
    assert_eq!((site.rings("a").await, site.rings("b").await), (1, 1));
    assert_eq!(site.scheduler().pending_commands(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn of_two_that_add_one_name_the_first_one_does() {
    let site = site().await;
    let held =
        async { site.tower.schedules().add(Schedule::once(&ring("late"), site.after(10)).name("a")).await };
    let add = Held::next(&site.store, Call::ChangeRecords);
    let meanwhile = async {
        add.is_made().await;
        let of = |name: &str| Schedule::once(&ring("early"), site.after(10)).name(name);
        site.tower.schedules().add_all([of("b"), of("a")]).await.unwrap();
        add.go_on();
    };
    let (late, ()) = tokio::join!(held, meanwhile);
    assert!(matches!(&late, Err(ScheduleError::AlreadyScheduled { name }) if name == "a"), "{late:?}");
    site.advance(10).await;
    assert_eq!((site.rings("early").await, site.rings("late").await), (2, 0));
}

/// T-445, T-446: at each moment somebody adds, cancels and carries out, and each name comes to one end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t_446_each_is_cancelled_or_carried_out() {
    const ROUNDS: usize = 60;
    const NAMES: usize = 8;
    let clock = TestClock::new();
    let site = Arc::new(Site::on(MemoryStore::new(), clock, "first").await);
    let other = Arc::new(Site::on(site.store.clone(), site.clock.clone(), "other").await);
    let mut ends = BTreeMap::new();
    for round in 0..ROUNDS {
        let mut adding = JoinSet::new();
        for number in 0..2 * NAMES {
            let from = Arc::clone(if number % 2 == 0 { &site } else { &other });
            adding.spawn(async move {
                let name = format!("{round}-{}", number / 2);
                match from.once(&name, 10).await {
                    Ok(()) => 1,
                    Err(ScheduleError::AlreadyScheduled { .. }) => 0,
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
        assert_eq!(adding.join_all().await.into_iter().sum::<usize>(), NAMES, "each name is given once");
        let mut cancelling = JoinSet::new();
        for number in 0..NAMES {
            let from = Arc::clone(if number % 2 == 0 { &site } else { &other });
            cancelling.spawn(async move {
                for _ in 0..number {
                    tokio::task::yield_now().await;
                }
                let name = format!("{round}-{number}");
                let is_cancelled = match from.tower.schedules().cancel(&name).await {
                    Ok(()) => true,
                    Err(ScheduleError::NotScheduled { .. }) => false,
                    Err(error) => panic!("{error:?}"),
                };
                (name, is_cancelled)
            });
        }
        site.clock.advance(Duration::from_secs(10));
        ends.extend(cancelling.join_all().await);
    }
    let carried_out = ends.values().filter(|is_cancelled| !**is_cancelled).count();
    until(async || *site.store.watch_head().borrow() == carried_out as u64).await;
    site.settle().await;
    other.settle().await;
    for (name, is_cancelled) in ends {
        assert_eq!(site.rings(&name).await, usize::from(!is_cancelled), "{name}");
    }
    assert_eq!(site.tower.schedules().next(10).await.unwrap(), []);
    let running = [&site, &other].map(|site| site.tower.handler(Scheduler::NAME).unwrap());
    for handler in running {
        assert_eq!(handler.status().await.unwrap().last_error, None);
    }
}
