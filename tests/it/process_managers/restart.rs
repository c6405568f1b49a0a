//! Nothing is lost and nothing happens twice, whenever it is cut off.

use super::domain::*;
use cqrs::store::EventStore;

#[tokio::test]
async fn t_383_instances_go_on_after_a_restart() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:do=1")]).await;
    let site = site.restart().await;
    site.tell_all(&[("a", "go:do=2")]).await;
    assert_eq!(site.words("a").await.unwrap(), ["start:do=1", "go:do=2"]);
    assert_eq!(site.done("a").await, ["1", "2"]);
}

/// L-003
#[tokio::test]
async fn t_359_t_376_duplicate_delivery_of_everything_sends_nothing_twice() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start!:do=1"), ("a", "go!:do=2"), ("a", "stop:do=3"), ("a", "start!:do=4")]).await;
    assert_eq!(site.done("a").await, ["1", "2", "3", "4"]);
    // All events are handled anew, from nothing.
    drop(seen());
    site.foreman().handler().reset().await.unwrap();
    let mut again = Vec::new();
    until(async || {
        again.extend(seen());
        again.iter().any(|seen| seen == "a start!:do=4").then_some(())
    })
    .await;
    site.settle().await;
    assert_eq!(site.done("a").await, ["1", "2", "3", "4"]);
    assert_eq!(site.words("a").await.unwrap(), ["start!:do=4"]);
}

/// G7: 10,000 events come again, half of which are those of commands that were carried out because of the others.
#[tokio::test]
async fn g_007_ten_thousand_events_come_again_and_nothing_is_done_twice() {
    const JOBS: usize = 500;
    const EACH: usize = 10;
    let site = Site::new().await;
    for number in 0..JOBS {
        let job = format!("j{number}");
        for step in 0..EACH {
            site.tell(&job, &format!("any:do={step}")).await;
        }
    }
    site.settle().await;
    let head = EventStore::head(&site.store).await.unwrap();
    assert_eq!(head, 2 * (JOBS * EACH) as u64);
    drop(seen());
    site.foreman().handler().reset().await.unwrap();
    let mut again = 0;
    until(async || {
        again += seen().len();
        (again == JOBS * EACH).then_some(())
    })
    .await;
    site.settle().await;
    assert_eq!(EventStore::head(&site.store).await.unwrap(), head);
    let steps: Vec<_> = (0..EACH).map(|step| step.to_string()).collect();
    assert_eq!(site.done("j0").await, steps);
    assert_eq!(site.done(&format!("j{}", JOBS - 1)).await, steps);
}

#[tokio::test]
async fn a_reset_forgets_instances_commands_and_timers() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:do=x:by=t/1000"), ("b", "start")]).await;
    let head = site.jobs.handlers().await.unwrap()[0].position;
    site.foreman().handler().reset_to(head).await.unwrap();
    until(async || site.foreman().instances(None, 10).await.unwrap().is_empty().then_some(())).await;
    assert!(site.foreman().pending_commands(None, 10).await.unwrap().is_empty());
    assert!(site.foreman().timers(None, 10).await.unwrap().is_empty());
    mend("x");
    site.tell_all(&[("a", "start:do=1")]).await;
    assert_eq!(site.done("a").await, ["1"]);
}
