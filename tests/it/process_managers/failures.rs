//! Events and commands that fail.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::domain::*;
use crate::applications::faulty_store::{Call, Fault, FaultyStore};
use cqrs::MemoryStore;
use cqrs::handler::RetryPolicy;
use cqrs::prelude::*;
use cqrs::process_manager::{ProcessError, StuckError};
use cqrs::store::{Deletion, EventStore as _, ExpectedVersion, StreamId};
use cqrs::testing::settle;
use serde::{Deserialize, Serialize};

#[tokio::test]
async fn t_377_a_failing_event_holds_its_instance_only_until_it_is_retried() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:may=x:do=1"), ("a", "any:do=2"), ("b", "start:do=other")]).await;
    assert_eq!(site.done("b").await, ["other"]);
    assert_eq!(site.instance("a").await, None, "nothing remains of the failed step");
    let parked = site.foreman().handler().parked(None, 10).await.unwrap();
    assert_eq!((parked.len(), parked[0].key.as_str(), parked[0].position), (1, "a", 1));
    assert!(parked[0].error.contains("x is broken"), "{}", parked[0].error);
    mend("x");
    site.foreman().retry("a").await.unwrap();
    until(async || (site.done("a").await.len() == 2).then_some(())).await;
    assert_eq!(site.done("a").await, ["1", "2"]);
}

/// D11: what hangs has failed, and other instances go on.
#[tokio::test(start_paused = true)]
async fn an_instance_that_hangs_has_failed_after_a_minute() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, _| match failure.error {
        ProcessError::TimedOut(limit) if limit == Duration::from_secs(60) => ProcessAction::Park,
        _ => panic!("{failure:?}"),
    });
    for (job, word) in [("a", "start:do=0:hang=x:do=1"), ("a", "any:do=2"), ("b", "start:do=other")] {
        site.tell(job, word).await;
    }
    settle(&site.jobs).within(Duration::from_secs(120)).await;
    assert_eq!(site.done("b").await, ["other"]);
    assert_eq!(
        (site.done("a").await, site.instance("a").await),
        (vec![], None),
        "nothing remains of the step"
    );
    let parked = site.foreman().handler().parked(None, 10).await.unwrap();
    assert_eq!((parked.len(), parked[0].key.as_str()), (1, "a"));
    assert_eq!(parked[0].error, "the process manager took longer than 60s");
    mend("x");
    site.foreman().retry("a").await.unwrap();
    until(async || (site.done("a").await.len() == 3).then_some(())).await;
    assert_eq!(site.done("a").await, ["0", "1", "2"]);
}

#[tokio::test]
async fn a_parked_event_can_be_left_out() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:may=x:do=1"), ("a", "any:do=2")]).await;
    site.foreman().skip("a").await.unwrap();
    until(async || (site.done("a").await == ["2"]).then_some(())).await;
    let nothing = site.foreman().retry("a").await;
    assert!(matches!(nothing, Err(StuckError::NotStuck { .. })), "{nothing:?}");
}

/// T-385
#[tokio::test]
async fn what_is_to_be_retried_or_left_out_is_so_when_the_log_can_be_read_again() {
    let store = FaultyStore::default();
    let jobs = Jobs::builder(store.clone()).start().await.unwrap();
    let foreman = jobs.process_manager("foreman").unwrap();
    break_it("x");
    for (job, word) in [("a", "start:may=x:do=1"), ("a", "any:do=2"), ("b", "start:may=x"), ("b", "any:do=3")]
    {
        jobs.dispatch(tell(job, word)).await.unwrap();
    }
    settle(&jobs).within(LIMIT).await;
    mend("x");
    let before = store.calls(Call::ReadLog);
    store.fail(Call::ReadLog, Fault::Unavailable, usize::MAX);
    foreman.retry("a").await.unwrap();
    foreman.skip("b").await.unwrap();
    until(async || (store.calls(Call::ReadLog) >= before + 2).then_some(())).await;
    store.heal(Call::ReadLog);
    until(async || (done(&store.inner, "a").await == ["1", "2"]).then_some(())).await;
    until(async || (done(&store.inner, "b").await == ["3"]).then_some(())).await;
}

#[tokio::test]
async fn t_370_attempts_are_counted_and_told() {
    let site = Site::new().await;
    break_it("x");
    let attempts = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&attempts);
    on_error(move |failure, process| {
        told.borrow_mut().push(failure.attempt);
        assert_eq!(failure.instance, process.instance());
        if failure.attempt < 4 { ProcessAction::Retry } else { ProcessAction::Skip }
    });
    site.tell_all(&[("a", "start:may=x"), ("b", "start:do=x:do=y")]).await;
    assert_eq!(*attempts.borrow(), [1, 2, 3, 4, 1, 2, 3, 4]);
    assert_eq!(site.done("b").await, ["y"]);
}

#[tokio::test]
async fn what_is_sent_for_commands_of_an_instance_that_is_gone_is_sent_for_each() {
    let site = Site::new().await;
    break_it("x");
    break_it("y");
    on_error(|failure, process| {
        let ProcessError::Command { command, .. } = &failure.error else { return ProcessAction::Park };
        let Do { task, what } = command.command().unwrap();
        for instead in [format!("not {what}"), format!("never {what}")] {
            process.send(Do { task: task.clone(), what: instead });
        }
        ProcessAction::Skip
    });
    site.tell_all(&[("a", "start:do=x:do=1:do=y:end")]).await;
    assert_eq!(site.done("a").await, ["1", "not x", "never x", "not y", "never y"]);
    // A new instance of that identity keeps its commands apart.
    site.tell_all(&[("a", "start:do=x:do=y:end")]).await;
    assert_eq!(site.done("a").await[5..], ["not x", "never x", "not y", "never y"]);
}

#[tokio::test]
async fn t_370_an_event_waits_to_be_tried_again_and_others_go_on() {
    let site = Site::new().await;
    break_it("x");
    on_error(|_, _| ProcessAction::RetryAfter(Duration::from_secs(60)));
    site.tell_all(&[("a", "start:may=x:do=1"), ("a", "any:do=2"), ("b", "start:do=other")]).await;
    assert_eq!(site.done("b").await, ["other"]);
    mend("x");
    site.advance(59_999).await;
    site.tell_all(&[("b", "go:do=more")]).await;
    assert!(site.done("a").await.is_empty());
    site.advance(1).await;
    until(async || (site.done("a").await.len() == 2).then_some(())).await;
    assert_eq!(site.done("a").await, ["1", "2"]);
    assert_eq!(site.foreman().handler().status().await.unwrap().parked, 0);
}

#[tokio::test(start_paused = true)]
async fn t_370_a_command_waits_to_be_tried_again_and_others_go_on() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, _| {
        mend("x");
        assert!(failure.command().is_some());
        ProcessAction::RetryAfter(Duration::from_secs(60))
    });
    site.tell("a", "start:do=x:do=y").await;
    site.tell("b", "start:do=other").await;
    let before = tokio::time::Instant::now();
    settle(&site.jobs).within(Duration::from_secs(600)).await;
    assert!(before.elapsed() >= Duration::from_secs(60));
    assert_eq!(site.done("b").await, ["other"]);
    assert_eq!(site.done("a").await, ["x", "y"]);
}

#[tokio::test]
async fn t_371_a_command_can_be_left_out() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, _| {
        let ProcessError::Command { source, .. } = &failure.error else { panic!("{failure:?}") };
        assert!(
            matches!(&**source, DispatchError::Rejected(rejection) if rejection.to_string() == "x is broken")
        );
        assert_eq!(failure.pending.len(), 1, "those behind it");
        ProcessAction::Skip
    });
    site.tell_all(&[("a", "start:do=x:do=y")]).await;
    assert_eq!(site.done("a").await, ["y"]);
}

#[tokio::test]
async fn t_371_t_372_pending_commands_can_be_dropped_and_replaced() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, process| {
        process.send(Do { task: failure.instance.clone(), what: "instead".to_owned() });
        ProcessAction::DiscardPending
    });
    site.tell_all(&[("a", "start:do=x:do=y:do=z")]).await;
    site.tell_all(&[("a", "go:do=later")]).await;
    assert_eq!(site.done("a").await, ["instead", "later"]);
}

#[tokio::test]
async fn t_373_a_refused_command_is_set_aside_until_somebody_has_it_sent_again() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:do=x:do=y"), ("a", "go:do=z"), ("b", "start:do=other")]).await;
    assert_eq!(site.done("b").await, ["other"]);
    assert_eq!(site.stuck().await.len(), 1);
    let site = site.restart().await;
    site.settle().await;
    assert_eq!(site.words("a").await.unwrap().len(), 2, "events are handled all the same");
    assert!(site.done("a").await.is_empty());
    mend("x");
    site.foreman().retry("a").await.unwrap();
    until(async || (site.done("a").await.len() == 3).then_some(())).await;
    assert_eq!(site.done("a").await, ["x", "y", "z"]);
    assert!(site.stuck().await.is_empty());
}

/// Deleted once and for all: it is not waited for.
#[tokio::test]
async fn a_command_to_a_deleted_stream_is_set_aside() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:do=1")]).await;
    let stream = StreamId::new("task-a").unwrap();
    site.store.delete_stream(&stream, ExpectedVersion::Any, Deletion::Soft).await.unwrap();
    let decided: Rc<RefCell<Vec<ProcessAction>>> = Rc::default();
    let told = Rc::clone(&decided);
    on_error(move |failure, _| {
        let action = RetryPolicy::default().decide(failure).into();
        told.borrow_mut().push(action);
        action
    });
    site.tell_all(&[("a", "go:do=2"), ("b", "start:do=other")]).await;
    assert_eq!(site.done("b").await, ["other"]);
    let stuck = site.stuck().await;
    assert!(stuck[0].contains("deleted"), "{stuck:?}");
    assert_eq!(*decided.borrow(), [ProcessAction::Park], "trying again would not help");
}

#[tokio::test]
async fn a_command_that_was_set_aside_can_be_left_out() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:do=x:do=y")]).await;
    site.foreman().skip("a").await.unwrap();
    until(async || (site.done("a").await == ["y"]).then_some(())).await;
}

/// L-007
#[tokio::test]
async fn t_375_a_step_that_fails_after_it_has_asked_for_commands_sends_none() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, _| {
        if failure.attempt == 3 {
            mend("x");
        }
        ProcessAction::Retry
    });
    site.tell_all(&[("a", "start:do=1:do=2:may=x")]).await;
    assert_eq!(site.done("a").await, ["1", "2"]);
    assert_eq!(site.words("a").await.unwrap().len(), 1);
}

#[tokio::test]
async fn g_010_a_panic_is_a_failure_of_its_step() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, _| {
        assert!(matches!(failure.error, ProcessError::Panicked(_)));
        mend("x");
        ProcessAction::Retry
    });
    site.tell_all(&[("a", "start:panic=x:do=1")]).await;
    assert_eq!(site.done("a").await, ["1"]);
}

#[tokio::test]
async fn a_panic_in_on_error_parks() {
    let site = Site::new().await;
    break_it("x");
    on_error(|_, _| panic!("on purpose"));
    site.tell_all(&[("a", "start:may=x"), ("b", "start:do=x"), ("c", "start:do=1")]).await;
    assert_eq!(site.done("c").await, ["1"]);
    assert_eq!(site.foreman().handler().parked(None, 10).await.unwrap().len(), 1);
    assert_eq!(site.stuck().await.len(), 1);
}

#[tokio::test]
async fn a_process_manager_that_stops_itself_goes_on_at_the_same_event() {
    let site = Site::new().await;
    break_it("x");
    on_error(|_, _| ProcessAction::Stop);
    site.tell("a", "start:do=1").await;
    site.settle().await;
    site.tell("a", "go:may=x:do=2").await;
    until(async || {
        let status = site.foreman().handler().status().await.unwrap();
        (status.state == cqrs::handler::HandlerState::Failed).then_some(())
    })
    .await;
    mend("x");
    let site = site.restart().await;
    site.settle().await;
    assert_eq!(site.done("a").await, ["1", "2"]);
}

#[tokio::test]
async fn more_parked_instances_than_allowed_stop_the_process_manager() {
    let site = Site::new().await;
    break_it("x");
    for number in 0..21 {
        site.tell(&format!("j{number}"), "start:may=x").await;
    }
    until(async || {
        let status = site.foreman().handler().status().await.unwrap();
        (status.state == cqrs::handler::HandlerState::Failed).then_some(())
    })
    .await;
    mend("x");
    let site = site.restart().await;
    site.settle().await;
    assert!(site.instance("j20").await.is_some(), "the event that was one too many is handled");
}

#[derive(Default, Serialize, Deserialize, Clone)]
struct Odd {
    /// JSON has no such keys.
    pairs: BTreeMap<(u8, u8), u8>,
}

#[process_manager(name = "odd", interested_in = [Told], by = job)]
impl Odd {
    #[on(start_or_continue)]
    fn on_told(&mut self, event: &Told, process: &mut Process) {
        process.send(Do { task: event.job.clone(), what: "sent".to_owned() });
        if event.word == "odd" {
            self.pairs.insert((1, 2), 3);
        }
    }
}

application! {
    struct Odds {
        routers: [JobRouter],
        process_managers: [Odd],
    }
}

#[tokio::test]
async fn a_state_that_cannot_be_written_sends_nothing_and_is_parked() {
    let store = MemoryStore::new();
    let odds = Odds::builder(store.clone()).start().await.unwrap();
    for (job, word) in [("a", "odd"), ("b", "even")] {
        odds.dispatch(tell(job, word)).await.unwrap();
    }
    settle(&odds).await;
    assert!(done(&store, "a").await.is_empty());
    assert_eq!(done(&store, "b").await, ["sent"]);
    let parked = odds.handler("odd").unwrap().parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert!(parked[0].error.contains("cannot be written"), "{}", parked[0].error);
}
