//! Names and records that are not what they should be.

use super::domain::*;
use cqrs::prelude::*;
use cqrs::schedule::{Schedule, ScheduleError, Scheduler};
use cqrs::store::{CheckpointStore as _, HandlerCommit, HandlerRecord};

/// A record of a newer version, and one that is garbage.
#[tokio::test]
async fn what_cannot_be_read_is_told_and_can_be_cancelled_and_others_come() {
    let site = Site::new().await;
    let odd = |name: &str, seconds, data: &'static str| HandlerRecord {
        kind: "timer".into(),
        key: format!("{name:?} "),
        position: 0,
        due_at: Some(site.after(seconds)),
        data: data.into(),
    };
    let newer = odd("it's \"new\"\n", 5, r#"{"instance":"new","version":9}"#);
    let odds = HandlerCommit::new().put(newer).put(odd("odd", 20, "[1, 2]"));
    site.store.change_records(Scheduler::NAME, odds).await.unwrap();
    site.once("a", 10).await.unwrap();
    let schedules = site.tower.schedules();
    let next = schedules.next(10).await.unwrap();
    let names: Vec<_> =
        next.iter().map(|known| (known.name.as_str(), known.due_at, known.unreadable.is_some())).collect();
    let expected = [("it's \"new\"\n", 5, true), ("a", 10, false), ("odd", 20, true)];
    assert_eq!(names, expected.map(|(name, seconds, is_odd)| (name, site.after(seconds), is_odd)));
    assert_eq!((next[0].command.as_str(), &next[0].pattern), ("", &None));
    assert!(next[0].unreadable.as_ref().unwrap().contains("missing field"), "{next:?}");
    assert_eq!(schedules.get("odd").await.unwrap().as_ref(), Some(&next[2]));

    let taken = site.once("odd", 1).await;
    assert!(matches!(&taken, Err(ScheduleError::AlreadyScheduled { name }) if name == "odd"), "{taken:?}");
    site.advance(30).await;
    assert_eq!((site.rings("a").await, site.rings("odd").await), (1, 0));
    schedules.cancel("it's \"new\"\n").await.unwrap();
    schedules.cancel("odd").await.unwrap();
    assert_eq!(schedules.next(10).await.unwrap(), []);
    site.once("odd", 1).await.unwrap();
    site.advance(1).await;
    assert_eq!(site.rings("odd").await, 1);
}

#[tokio::test]
async fn a_name_that_no_database_keeps_is_refused() {
    let site = Site::new().await;
    let schedules = site.tower.schedules();
    let of = |name: &str| Schedule::once(&ring("a"), site.after(1)).name(name);
    let long = "x".repeat(256);
    for named in [vec![of("a\0b")], vec![of("fine"), of("\0")], vec![of(&long)]] {
        let refused = schedules.add_all(named).await.unwrap_err();
        assert!(matches!(refused, ScheduleError::InvalidName { .. }), "{refused:?}");
        assert!(refused.to_string().contains("at most 255 bytes without a NUL character"), "{refused}");
    }
    assert_eq!(schedules.next(10).await.unwrap(), []);
    assert_eq!(schedules.get("a\0b").await.unwrap(), None);
    let unknown = schedules.cancel("a\0b").await;
    assert!(matches!(unknown, Err(ScheduleError::NotScheduled { .. })), "{unknown:?}");
    for odd in ["", " ", "\"", "a\n\\", "\u{1}\u{7f}🦀"] {
        schedules.add(of(odd)).await.unwrap();
    }
    site.advance(1).await;
    assert_eq!(site.rings("a").await, 5);
}
