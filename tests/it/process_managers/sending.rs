//! Commands: in order, caused by their event, each once.

use super::domain::*;
use crate::support::log::events_of;
use cqrs::prelude::*;

#[tokio::test]
async fn t_365_commands_are_caused_by_the_event_and_inherit_its_metadata() {
    let site = Site::new().await;
    let told = site.jobs.dispatch(tell("a", "start:do=one")).metadata("actor", "u-7").await.unwrap();
    site.settle().await;
    let event = &events_of(&site.store, "task-a").await[0];
    assert_eq!(event.correlation_id, told.correlation_id());
    let cause = events_of(&site.store, "job-a").await[0].event_id;
    assert_eq!(event.metadata.command_causation_id(), Some(cause.into()));
    assert_eq!(event.metadata.get("actor").unwrap(), "u-7");
}

/// E-104: also what is sent because a command was refused, and what undoes another one.
#[tokio::test]
async fn ev_94_all_that_an_instance_sends_belongs_to_what_led_to_it() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, process| {
        process.send(Do { task: failure.instance.clone(), what: "failed".to_owned() });
        ProcessAction::Compensate
    });
    let told = site.jobs.dispatch(tell("a", "start:undo=1/-1:do=2:do=x")).await.unwrap();
    site.jobs.dispatch(tell("b", "any:do=other")).await.unwrap();
    until(async || site.instance("a").await.is_none().then_some(())).await;
    site.settle().await;
    assert_eq!(site.done("a").await, ["1", "2", "-1", "failed"]);
    let tree = site.jobs.lineage().tree(told.command_id()).await.unwrap();
    let drawn: Vec<_> = tree.nodes().iter().map(|node| (node.cause, node.depth)).collect();
    assert_eq!(drawn, [(None, 0), (Some(0), 1), (Some(0), 1), (Some(0), 1), (Some(0), 1)]);
    let last = &events_of(&site.store, "task-a").await[3];
    let causes = site.jobs.lineage().causes_of(last.event_id).await.unwrap();
    assert_eq!(causes.iter().map(|cause| cause.position).collect::<Vec<_>>(), [1]);
}

#[tokio::test]
async fn commands_of_an_instance_are_carried_out_in_order() {
    let site = Site::new().await;
    let acts: Vec<_> = (0..50).map(|number| format!("do={number}")).collect();
    site.tell_all(&[("a", &format!("start:{}", acts.join(":"))), ("a", "go:do=end")]).await;
    let mut expected: Vec<_> = (0..50).map(|number: i32| number.to_string()).collect();
    expected.push("end".to_owned());
    assert_eq!(site.done("a").await, expected);
    assert_eq!(site.foreman().pending_commands(None, 10).await.unwrap(), []);
}

/// T-097, L-012
#[tokio::test]
async fn a_strong_dispatch_waits_until_the_commands_are_carried_out() {
    let site = Site::new().await;
    for number in 0..20 {
        let word = format!("any:do={number}");
        site.jobs.dispatch(tell("a", &word)).consistency(Strong).await.unwrap();
        assert_eq!(site.done("a").await.len(), number + 1);
    }
}

#[tokio::test]
async fn a_strong_dispatch_is_told_that_a_command_was_set_aside() {
    let site = Site::new().await;
    break_it("bad");
    let refused = site.jobs.dispatch(tell("a", "start:do=bad")).consistency(Strong).await;
    match refused {
        Err(DispatchError::NotHandled { pending, .. }) => assert!(pending[0].is_parked, "{pending:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn t_382_after_a_command_the_instance_can_end() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:do=one:do=last")]).await;
    until(async || site.instance("a").await.is_none().then_some(())).await;
    assert_eq!(seen(), ["a start:do=one:do=last", "a after one", "a after last"]);
}

/// L-004
#[tokio::test]
async fn t_388_an_event_behind_the_end_of_an_instance_is_handled() {
    let site = Site::new().await;
    for round in 0..20 {
        site.tell("a", &format!("any:do=last-{round}")).await;
    }
    site.settle().await;
    assert_eq!(site.done("a").await.len(), 20);
}
