//! Scheduled commands that are not carried out.

use std::time::Duration;

use super::domain::*;
use crate::support::logged::Logged;
use cqrs::process_manager::PendingCommand;
use cqrs::schedule::Schedule;
use tokio::time::{sleep, timeout};

impl Site {
    async fn pending(&self) -> Vec<PendingCommand> {
        self.scheduler().pending_commands(None, 1_000).await.unwrap()
    }

    /// The hours whose rings are set aside, of a bell that rings each hour.
    async fn stuck_hours(&self, bell: &str) -> Vec<String> {
        let lane = format!("{bell} at ");
        let of_bell = self.pending().await.into_iter().filter_map(|command| {
            Some(command.instance.strip_prefix(&lane)?.to_owned()).filter(|_| command.stuck.is_some())
        });
        of_bell.collect()
    }
}

/// T-447, T-449: ten tries in all.
#[tokio::test(start_paused = true)]
async fn t_447_a_command_that_panics_or_takes_too_long_is_tried_again_and_set_aside_in_the_end() {
    let site = Site::new().await;
    let (panics, toll) = (ring("panics"), Toll { bell: "toll".to_owned() });
    spoil("panics", Flaw::Panics);
    spoil("toll", Flaw::Stuck);
    let at = site.after(10);
    let all = [
        Schedule::once(&panics, at).name("panics"),
        Schedule::once(&toll, at).name("toll"),
        Schedule::once(&ring("fine"), at).name("fine"),
    ];
    site.tower.schedules().add_all(all).await.unwrap();
    site.clock.advance(Duration::from_secs(10));
    let is_reached = async |is: &dyn Fn(&[PendingCommand]) -> bool| {
        let reached = async {
            while !is(&site.pending().await) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(Duration::from_secs(3_600), reached).await.expect("it takes some minutes");
    };
    is_reached(&|pending| pending.iter().all(|command| command.name != "fine")).await;
    is_reached(&|_| tries("panics") > 1 && tries("toll") > 1).await;
    assert_eq!(site.rings("fine").await, 1, "the others go on meanwhile");
    assert!(site.pending().await.iter().all(|command| command.stuck.is_none()), "they are tried again");
    is_reached(&|pending| pending.len() == 2 && pending.iter().all(|command| command.stuck.is_some())).await;
    for (bell, error) in [("panics", "the bell comes down"), ("toll", "took longer")] {
        let pending = site.pending().await;
        let stuck = pending.iter().find(|command| command.instance == bell).unwrap();
        assert_eq!((tries(bell), stuck.attempts), (10, 10), "{bell}");
        assert!(stuck.stuck.as_ref().unwrap().contains(error), "{stuck:?}");
    }
    for bell in ["panics", "toll"] {
        mend(bell);
        site.scheduler().retry(bell).await.unwrap();
    }
    is_reached(&|pending| pending.is_empty()).await;
    assert_eq!((site.rings("panics").await, site.rings("toll").await), (1, 1));
}

/// T-449
#[tokio::test]
async fn t_449_of_a_recurring_command_that_is_always_refused_the_latest_times_are_kept() {
    const KEPT: usize = 100;
    let (log, _guard) = Logged::at(tracing::Level::INFO);
    let site = Site::new().await;
    let (beside, once) = ("beside", "once");
    for bell in ["a", beside, once] {
        spoil(bell, Flaw::Cracked);
    }
    site.hourly("a").await.unwrap();
    let rare = Schedule::recurring(&ring(beside), "30 0 * * *").unwrap().name(beside);
    site.tower.schedules().add(rare).await.unwrap();
    site.once(once, 60).await.unwrap();
    site.advance(60).await;
    let mut hours = Vec::new();
    for hour in 1..=KEPT + 3 {
        hours.push(site.tower.schedules().get("a").await.unwrap().unwrap().due_at.to_rfc3339());
        site.advance(3_600).await;
        until(async || site.stuck_hours("a").await.last() == hours.last()).await;
        let kept = &hours[hour.saturating_sub(KEPT)..];
        assert_eq!(site.stuck_hours("a").await, kept);
    }
    let beside = site.stuck_hours(beside).await;
    assert!(!beside.is_empty() && beside.len() < KEPT, "others have times of their own");
    assert!(site.pending().await.iter().any(|command| command.instance == once), "and others are left");
    let text = log.text();
    let warned: Vec<_> = text.lines().filter(|line| line.contains("is given up")).collect();
    assert_eq!(warned.len(), 3, "{warned:?}");
    for part in ["WARN", "cqrs.schedule=\"a\"", &hours[0], "the bell is cracked"] {
        assert!(warned[0].contains(part), "{part:?} is missing in {:?}", warned[0]);
    }

    // Also when they were set aside before the start.
    site.tower.shutdown().await;
    let site = Site::on(site.store, site.clock, "second").await;
    site.advance(3_600).await;
    until(async || site.stuck_hours("a").await.first() == Some(&hours[4])).await;
    assert_eq!(site.stuck_hours("a").await.len(), KEPT);
    mend("a");
    site.scheduler().retry(&format!("a at {}", hours[4])).await.unwrap();
    until(async || site.rings("a").await == 1).await;
    let given_up = site.scheduler().retry(&format!("a at {}", hours[3])).await;
    assert!(given_up.is_err(), "{given_up:?}");
}
