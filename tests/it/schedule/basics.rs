//! What is scheduled is carried out in time, once.

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::schedule::{Schedule, ScheduleError, Scheduler};
use cqrs::store::EventStore as _;
use std::time::Duration;

use crate::support::log::events_of;

#[tokio::test]
async fn t_445_a_command_is_carried_out_when_it_is_due_and_forgotten() {
    let site = Site::new().await;
    site.once("a", 10).await.unwrap();
    let known = site.tower.schedules().get("a").await.unwrap().unwrap();
    assert_eq!((known.command.as_str(), known.due_at, known.pattern), ("Ring", site.after(10), None));
    site.advance(9).await;
    assert_eq!(site.rings("a").await, 0);
    site.advance(1).await;
    assert_eq!(site.rings("a").await, 1);
    assert_eq!(events_of(&site.store, "bell-a").await[0].metadata.get("actor").unwrap(), "u-7");
    assert_eq!(site.tower.schedules().get("a").await.unwrap(), None);
    site.once("a", 1).await.unwrap();
    site.advance(1).await;
    assert_eq!(site.rings("a").await, 2, "the name is free again, and the command another one");
}

#[tokio::test]
async fn t_445_a_name_is_given_once_and_what_is_cancelled_is_not_carried_out() {
    let site = Site::new().await;
    site.once("a", 10).await.unwrap();
    let again = site.once("a", 20).await;
    assert!(matches!(&again, Err(ScheduleError::AlreadyScheduled { name }) if name == "a"), "{again:?}");
    site.tower.schedules().cancel("a").await.unwrap();
    for name in ["a", "unknown"] {
        let cancelled = site.tower.schedules().cancel(name).await;
        assert!(matches!(cancelled, Err(ScheduleError::NotScheduled { .. })), "{cancelled:?}");
    }
    site.advance(100).await;
    assert_eq!(site.rings("a").await, 0);
}

#[tokio::test]
async fn t_446_several_are_scheduled_all_or_none_and_survive_a_restart() {
    let site = Site::new().await;
    site.once("c", 10).await.unwrap();
    let of = |names: &[&str]| -> Vec<_> {
        names.iter().map(|name| Schedule::once(&ring(name), site.after(10)).name(*name)).collect()
    };
    for names in [["a", "b", "c"], ["a", "b", "a"]] {
        let refused = site.tower.schedules().add_all(of(&names)).await;
        assert!(matches!(refused, Err(ScheduleError::AlreadyScheduled { .. })), "{refused:?}");
    }
    assert_eq!(site.tower.schedules().next(10).await.unwrap().len(), 1);
    site.tower.schedules().add_all(of(&["a", "b"])).await.unwrap();
    site.tower.shutdown().await;
    site.clock.advance(Duration::from_secs(60));
    let site = Site::on(site.store, site.clock, "second").await;
    site.advance(0).await;
    for bell in ["a", "b", "c"] {
        assert_eq!(site.rings(bell).await, 1);
    }
}

// L-037
#[tokio::test]
async fn a_recurring_command_comes_whenever_its_pattern_fits() {
    let site = Site::new().await;
    let hourly = Schedule::recurring(&ring("a"), "0 * * * *").unwrap().name("hourly");
    site.tower.schedules().add(hourly).await.unwrap();
    for hour in 0..5 {
        assert_eq!(site.rings("a").await, hour);
        site.advance(3_600).await;
    }
    let known = site.tower.schedules().get("hourly").await.unwrap().unwrap();
    assert_eq!((known.due_at, known.pattern.as_deref()), (site.after(3_600), Some("0 * * * *")));
    site.advance(10 * 3_600).await;
    assert_eq!(site.rings("a").await, 6, "of what has passed one is made up for");
    site.tower.schedules().cancel("hourly").await.unwrap();
    site.advance(10 * 3_600).await;
    assert_eq!(site.rings("a").await, 6);
}

// L-037
#[tokio::test]
async fn t_447_t_449_a_command_that_is_refused_is_set_aside_and_others_come() {
    let site = Site::new().await;
    let hourly = Schedule::recurring(&ring("a"), "0 * * * *").unwrap().name("hourly");
    site.tower.schedules().add(hourly).await.unwrap();
    spoil("a", Flaw::Cracked);
    site.advance(3_600).await;
    mend("a");
    let scheduler = site.tower.process_manager(Scheduler::NAME).unwrap();
    let stuck = scheduler.pending_commands(None, 10).await.unwrap();
    assert_eq!(stuck.len(), 1);
    assert!(stuck[0].stuck.as_ref().unwrap().contains("cracked"), "{stuck:?}");
    site.advance(3_600).await;
    assert_eq!(site.rings("a").await, 1, "the next time comes all the same");
    scheduler.retry(&stuck[0].instance).await.unwrap();
    let retried = tokio::time::timeout(Duration::from_secs(20), async {
        while site.rings("a").await < 2 {
            tokio::task::yield_now().await;
        }
    });
    retried.await.expect("it is carried out");
}

// L-037
#[tokio::test]
async fn t_450_of_two_nodes_one_carries_it_out() {
    let site = Site::new().await;
    let other = Site::on(site.store.clone(), site.clock.clone(), "other").await;
    for number in 0..20 {
        let from = if number % 2 == 0 { &site } else { &other };
        from.once(&format!("b{number}"), 10).await.unwrap();
    }
    site.advance(10).await;
    for number in 0..20 {
        assert_eq!(site.rings(&format!("b{number}")).await, 1);
    }
    site.once("last", 10).await.unwrap();
    site.tower.shutdown().await;
    other.advance(10).await;
    assert_eq!(other.rings("last").await, 1);
}

#[tokio::test]
async fn what_cannot_be_carried_out_is_refused_at_once() {
    let site = Site::new().await;
    let foreign = Schedule::once(&Foreign { bell: "a".to_owned() }, site.after(1));
    let refused = site.tower.schedules().add(foreign).await;
    assert!(
        matches!(&refused, Err(ScheduleError::UnknownCommand { command, .. }) if command == "Foreign"),
        "{refused:?}"
    );
    let silent = Silent::builder(MemoryStore::new()).start().await.unwrap();
    let refused = silent.schedules().add(Schedule::once(&ring("a"), site.after(1))).await;
    assert!(matches!(refused, Err(ScheduleError::NoScheduler { .. })), "{refused:?}");
    assert!(Schedule::recurring(&ring("a"), "every day").is_err());
}

/// Schedules a ring of the other bell.
struct Answering;

#[event_handler(name = "answering", interested_in = [Rung], consistency = strong)]
impl Answering {
    async fn on_rung(&self, event: &Rung, context: &EventContext) -> Result<(), ScheduleError> {
        let tower: Tower = context.app().expect("it runs in the tower");
        match &*event.bell {
            "first" => tower.schedules().add(Schedule::once(&ring("second"), context.created_at())).await,
            _ => Ok(()),
        }
    }
}

/// E-104: what a handler schedules belongs to what it handles.
#[tokio::test]
async fn ev_94_what_is_scheduled_inside_a_handler_is_caused_by_the_event() {
    let store = MemoryStore::new();
    let tower = Tower::builder(store.clone()).event_handler(Answering).start().await.unwrap();
    let rung = tower.dispatch(ring("first")).consistency(Strong).await.unwrap();
    store.watch_head().wait_for(|head| *head == 2).await.unwrap();
    let tree = tower.lineage().tree(rung.command_id()).await.unwrap();
    assert_eq!(tree.nodes().iter().map(|node| node.cause).collect::<Vec<_>>(), [None, Some(0)]);
    let second = &events_of(&store, "bell-second").await[0];
    assert_eq!(second.correlation_id, rung.correlation_id());
    tower.shutdown().await;
}
