//! Scheduled commands on Postgres: each is carried out once, however many nodes there are, and whoever dies.

use std::time::Duration;

use chrono::Utc;
use cqrs::application::Config;
use cqrs::clock::Clock as _;
use cqrs::prelude::*;
use cqrs::schedule::{Schedule, ScheduleError, Scheduler};
use cqrs::store::EventStore as _;
use cqrs::testing::TestClock;

use crate::domain::{Account, Desk, in_time, pay, schema, store};

application! {
    struct Timed {
        routers: [Desk],
        process_managers: [Scheduler],
    }
}

const MANY: usize = 120;

async fn node(store: PostgresStore, clock: &TestClock, name: &str) -> Timed {
    let config = Config::new().lease_ttl(Duration::from_secs(3));
    Timed::builder(store).clock(clock.clone()).node(name).config(config).start().await.unwrap()
}

async fn balance(bank: &Timed, account: &str) -> u64 {
    bank.aggregate_state::<Account>(account).await.unwrap().state.balance
}

/// T-445, G7: nodes come and go, with notice and without, while many commands are due together.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_445_what_is_due_is_carried_out_once_whoever_dies() {
    let (schema, clock) = (schema().await, TestClock::new());
    let mut nodes = vec![node(store(&schema).await, &clock, "n0").await];
    let at = clock.now() + chrono::Duration::seconds(60);
    let due = (0..MANY).map(|number| Schedule::once(&pay("a", 1), at).name(format!("s{number}")));
    nodes[0].schedules().add_all(due).await.unwrap();
    clock.advance(Duration::from_secs(60));
    let log = store(&schema).await;
    for round in 1..=3 {
        nodes.push(node(store(&schema).await, &clock, &format!("n{round}")).await);
        let some = u64::try_from(round * MANY / 6).unwrap();
        in_time(log.watch_head().wait_for(|head| *head >= some)).await.unwrap();
        let first = nodes.remove(0);
        match round % 2 {
            0 => drop(in_time(first.shutdown()).await),
            _ => drop(first),
        }
    }
    in_time(async {
        while !nodes[0].schedules().next(1).await.unwrap().is_empty()
            || balance(&nodes[0], "a").await < MANY as u64
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    in_time(nodes.remove(0).shutdown()).await;
    assert_eq!(log.head().await.unwrap(), MANY as u64, "one payment each");
}

/// T-446: a schedule is known to all nodes, and one that was cancelled on any of them is not carried out.
#[tokio::test]
async fn t_446_a_schedule_is_cancelled_on_any_node() {
    let (schema, clock) = (schema().await, TestClock::new());
    let owner = node(store(&schema).await, &clock, "owner").await;
    let other = node(store(&schema).await, &clock, "other").await;
    let at = clock.now() + chrono::Duration::seconds(10);
    for (name, account) in [("first", "a"), ("second", "b")] {
        other.schedules().add(Schedule::once(&pay(account, 5), at).name(name)).await.unwrap();
    }
    assert_eq!(owner.schedules().next(9).await.unwrap().len(), 2);
    other.schedules().cancel("first").await.unwrap();
    let unknown = owner.schedules().cancel("first").await.unwrap_err();
    assert!(matches!(&unknown, ScheduleError::NotScheduled { name } if name == "first"), "{unknown:?}");
    clock.advance(Duration::from_secs(10));
    in_time(async {
        while balance(&owner, "b").await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(balance(&owner, "a").await, 0);
    owner.shutdown().await;
    other.shutdown().await;
}

/// T-445: what became due while nothing ran is carried out at the next start, by the real clock.
#[tokio::test]
async fn t_445_what_became_due_meanwhile_is_carried_out_at_the_next_start() {
    let (schema, clock) = (schema().await, TestClock::new());
    let bank = node(store(&schema).await, &clock, "n0").await;
    let past = Utc::now() - chrono::Duration::hours(1);
    clock.set(past - chrono::Duration::hours(1));
    bank.schedules().add(Schedule::once(&pay("a", 5), past)).await.unwrap();
    bank.shutdown().await;
    let bank = Timed::builder(store(&schema).await).start().await.unwrap();
    in_time(async {
        while balance(&bank, "a").await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bank.shutdown().await;
    let bank = Timed::builder(store(&schema).await).start().await.unwrap();
    assert_eq!((balance(&bank, "a").await, bank.schedules().next(1).await.unwrap().len()), (5, 0));
    bank.shutdown().await;
}
