//! Scheduled commands on Postgres: each is carried out once, however many nodes there are, and whoever dies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use cqrs::application::Config;
use cqrs::clock::Clock as _;
use cqrs::prelude::*;
use cqrs::schedule::{Schedule, ScheduleError, Scheduler};
use cqrs::store::EventStore as _;
use cqrs::testing::TestClock;
use tokio::task::JoinSet;

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

/// What came of cancelling: whether it was in time.
async fn cancel(bank: &Timed, name: &str) -> bool {
    match in_time(bank.schedules().cancel(name)).await {
        Ok(()) => true,
        Err(ScheduleError::NotScheduled { .. }) => false,
        Err(error) => panic!("{error:?}"),
    }
}

/// T-445, T-446: two nodes add the same names, and cancel them at the moment at which they are due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_446_each_is_cancelled_or_carried_out_and_each_name_is_given_once() {
    const ROUNDS: usize = 10;
    const NAMES: usize = 8;
    let (schema, clock) = (schema().await, TestClock::new());
    let nodes = [
        Arc::new(node(store(&schema).await, &clock, "n0").await),
        Arc::new(node(store(&schema).await, &clock, "n1").await),
    ];
    let mut ends = BTreeMap::new();
    for round in 0..ROUNDS {
        let at = clock.now() + chrono::Duration::seconds(60);
        let mut adding = JoinSet::new();
        for number in 0..2 * NAMES {
            let node = Arc::clone(&nodes[number % 2]);
            adding.spawn(async move {
                let name = format!("{round}-{}", number / 2);
                match in_time(node.schedules().add(Schedule::once(&pay(&name, 1), at).name(&name))).await {
                    Ok(()) => 1,
                    Err(ScheduleError::AlreadyScheduled { .. }) => 0,
                    Err(error) => panic!("{error:?}"),
                }
            });
        }
        assert_eq!(adding.join_all().await.into_iter().sum::<usize>(), NAMES);
        let mut cancelling = JoinSet::new();
        // One after the other, while the scheduler takes them up.
        for (half, node) in nodes.iter().enumerate() {
            let node = Arc::clone(node);
            cancelling.spawn(async move {
                let mut ends = Vec::new();
                for name in (half * NAMES / 2..(half + 1) * NAMES / 2).map(|name| format!("{round}-{name}")) {
                    ends.push((name.clone(), cancel(&node, &name).await));
                }
                ends
            });
        }
        clock.advance(Duration::from_secs(60));
        ends.extend(cancelling.join_all().await.into_iter().flatten());
    }
    let carried_out = ends.values().filter(|is_cancelled| !**is_cancelled).count() as u64;
    let log = store(&schema).await;
    in_time(log.watch_head().wait_for(|head| *head >= carried_out)).await.unwrap();
    assert_eq!(nodes[0].schedules().next(10).await.unwrap(), []);
    for node in nodes {
        in_time(node.shutdown()).await;
    }
    let bank = node(log.clone(), &clock, "last").await;
    for (name, is_cancelled) in ends {
        assert_eq!(balance(&bank, &name).await, u64::from(!is_cancelled), "{name}");
    }
    assert_eq!(log.head().await.unwrap(), carried_out);
    in_time(bank.shutdown()).await;
}

/// T-446, L-037: one that recurs is cancelled at the moment at which it is scheduled for its next time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_446_a_recurring_one_that_is_cancelled_while_it_is_due_stays_cancelled() {
    let (schema, clock) = (schema().await, TestClock::new());
    let owner = node(store(&schema).await, &clock, "owner").await;
    let other = node(store(&schema).await, &clock, "other").await;
    let mut balances = Vec::new();
    for round in 0..15 {
        let name = format!("r{round}");
        let hourly = Schedule::recurring(&pay(&name, 1), "0 * * * *").unwrap().name(&name);
        in_time(other.schedules().add(hourly)).await.unwrap();
        clock.advance(Duration::from_secs(3_600));
        for _ in 0..round % 5 {
            tokio::task::yield_now().await;
        }
        assert!(cancel(&other, &name).await, "there is always a next time");
        assert_eq!(other.schedules().get(&name).await.unwrap(), None);
        balances.push(name);
    }
    // What was on its way has come by when one that is due much later has.
    let at = clock.now() + chrono::Duration::hours(48);
    other.schedules().add(Schedule::once(&pay("last", 1), at).name("last")).await.unwrap();
    clock.advance(Duration::from_secs(48 * 3_600));
    in_time(async {
        while balance(&other, "last").await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(owner.schedules().next(10).await.unwrap(), []);
    for name in balances {
        assert!(balance(&owner, &name).await <= 1, "{name}");
    }
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
