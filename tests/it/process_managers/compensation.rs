//! Going back: what was done is undone, the last first.

use super::domain::*;
use crate::support::store::{Act, ScriptedStore};
use cqrs::prelude::*;
use cqrs::process_manager::ProcessPhase;
use cqrs::testing::settle;

/// E-089, N-020, DEF-016
#[tokio::test]
async fn what_was_done_is_undone_in_reverse_and_the_instance_is_gone() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, process| {
        process.send(Do { task: failure.instance.clone(), what: "failed".to_owned() });
        ProcessAction::Compensate
    });
    site.tell_all(&[("a", "start:undo=1/-1:do=2:undo=3/-3:do=x:do=no")]).await;
    until(async || site.instance("a").await.is_none().then_some(())).await;
    assert_eq!(site.done("a").await, ["1", "2", "3", "-3", "-1", "failed"]);
    site.tell_all(&[("a", "start:do=anew")]).await;
    assert_eq!(site.done("a").await.last().unwrap(), "anew");
}

#[tokio::test]
async fn an_event_that_fails_can_have_its_instance_go_back() {
    let site = Site::new().await;
    break_it("x");
    on_error(|_, _| ProcessAction::Compensate);
    site.tell_all(&[("a", "start:undo=1/-1")]).await;
    site.tell_all(&[("a", "go:may=x:do=no"), ("a", "go:do=no")]).await;
    until(async || site.instance("a").await.is_none().then_some(())).await;
    assert_eq!(site.done("a").await, ["1", "-1"]);
}

#[tokio::test]
async fn an_instance_without_anything_to_undo_is_gone_at_once() {
    let site = Site::new().await;
    break_it("x");
    on_error(|_, _| ProcessAction::Compensate);
    site.tell_all(&[("a", "start:do=1:do=x:do=no")]).await;
    until(async || site.instance("a").await.is_none().then_some(())).await;
    assert_eq!(site.done("a").await, ["1"]);
}

#[tokio::test]
async fn a_compensation_that_fails_is_set_aside_and_survives_a_restart() {
    let site = Site::new().await;
    break_it("x");
    break_it("-2");
    on_error(|failure, _| match failure.is_compensating {
        false => ProcessAction::Compensate,
        true => ProcessAction::Park,
    });
    site.tell_all(&[("a", "start:undo=1/-1:undo=2/-2:do=x")]).await;
    assert_eq!(site.done("a").await, ["1", "2"]);
    assert_eq!(site.instance("a").await.unwrap().phase, ProcessPhase::Compensating);
    let site = site.restart().await;
    site.tell_all(&[("a", "go:do=no"), ("a", "any:do=no")]).await;
    mend("-2");
    site.foreman().retry("a").await.unwrap();
    until(async || site.instance("a").await.is_none().then_some(())).await;
    assert_eq!(site.done("a").await, ["1", "2", "-2", "-1"]);
}

#[tokio::test]
async fn a_compensation_that_is_left_out_does_not_keep_the_instance() {
    let site = Site::new().await;
    break_it("x");
    break_it("-1");
    on_error(|failure, _| match failure.is_compensating {
        false => ProcessAction::Compensate,
        true => ProcessAction::Skip,
    });
    site.tell_all(&[("a", "start:undo=1/-1:do=x")]).await;
    until(async || site.instance("a").await.is_none().then_some(())).await;
    assert_eq!(site.done("a").await, ["1"]);
}

/// What was sent is not counted as pending, either.
#[tokio::test]
async fn a_command_whose_outcome_was_lost_is_undone_when_it_turns_out_to_be_carried_out() {
    let store = ScriptedStore::default();
    let jobs = Jobs::builder(store.clone()).start().await.unwrap();
    jobs.dispatch(tell("nobody", "none")).await.unwrap();
    settle(&jobs).within(LIMIT).await;
    break_it("x");
    on_error(|failure, _| {
        let pending: Vec<_> = failure.pending.iter().filter_map(SentCommand::command::<Do>).collect();
        assert_eq!(pending.into_iter().map(|command| command.what).collect::<Vec<_>>(), ["no"]);
        ProcessAction::Compensate
    });
    store.then([Act::Pass, Act::LoseOutcome]);
    store.be_deaf(true);
    jobs.dispatch(tell("a", "start:undo=1/-1:do=no")).await.unwrap();
    until(async || (store.questions() == 1).then_some(())).await;
    jobs.dispatch(tell("a", "go:may=x")).await.unwrap();
    let foreman = jobs.process_manager("foreman").unwrap();
    until(async || {
        let instance = foreman.instance("a").await.unwrap().unwrap();
        (instance.phase == ProcessPhase::Compensating).then_some(())
    })
    .await;
    store.be_deaf(false);
    settle(&jobs).within(LIMIT).await;
    assert_eq!(done(&store, "a").await, ["1", "-1"]);
    assert_eq!(foreman.instance("a").await.unwrap(), None);
}

/// A job that has ended with a command set aside and one behind it, and has begun anew: a command of the new instance waits
/// behind those of the old one.
async fn begun_anew() -> Site {
    let site = Site::new().await;
    break_it("x");
    break_it("event");
    site.tell_all(&[("a", "start:do=x:do=y:end"), ("a", "start:undo=1/-1:do=2")]).await;
    assert_eq!(site.stuck().await.len(), 1);
    site
}

#[tokio::test]
async fn an_instance_that_goes_back_leaves_the_commands_of_an_earlier_one() {
    let site = begun_anew().await;
    let told = std::rc::Rc::<std::cell::RefCell<Vec<String>>>::default();
    let pending = std::rc::Rc::clone(&told);
    on_error(move |failure, _| match failure.command() {
        Some(_) => ProcessAction::Park,
        None => {
            let what =
                failure.pending.iter().filter_map(SentCommand::command::<Do>).map(|command| command.what);
            pending.borrow_mut().extend(what);
            ProcessAction::Compensate
        }
    });
    site.tell_all(&[("a", "go:may=event")]).await;
    assert_eq!(*told.borrow(), ["1", "2"], "its own");
    assert_eq!(site.instance("a").await, None, "there is nothing to be undone");
    let left = site.foreman().pending_commands(None, 10).await.unwrap();
    assert_eq!(left.len(), 2);
    // Also when they are read again.
    let site = site.restart().await;
    mend("x");
    site.foreman().retry("a").await.unwrap();
    until(async || (site.done("a").await.len() == 2).then_some(())).await;
    site.tell_all(&[("a", "start:do=3")]).await;
    assert_eq!(site.done("a").await, ["x", "y", "3"]);
}

#[tokio::test]
async fn an_instance_that_discards_what_is_pending_leaves_the_commands_of_an_earlier_one() {
    let site = begun_anew().await;
    on_error(|failure, _| match failure.command() {
        Some(_) => ProcessAction::Park,
        None => ProcessAction::DiscardPending,
    });
    site.tell_all(&[("a", "go:may=event"), ("a", "go:do=3")]).await;
    mend("x");
    site.foreman().retry("a").await.unwrap();
    until(async || (site.done("a").await.len() == 3).then_some(())).await;
    assert_eq!(site.done("a").await, ["x", "y", "3"]);
}

/// The old instance ends, and the new one goes back, before anything is written.
#[tokio::test]
async fn an_instance_that_goes_back_within_a_page_leaves_the_commands_of_an_earlier_one() {
    for action in [ProcessAction::Compensate, ProcessAction::DiscardPending] {
        let site = Site::new().await;
        break_it("event");
        on_error(move |_, _| action);
        site.foreman().handler().pause().await.unwrap();
        for word in ["start:do=farewell", "stop:do=end", "start:undo=1/-1", "go:may=event"] {
            site.tell("a", word).await;
        }
        site.foreman().handler().resume().await.unwrap();
        site.settle().await;
        until(async || (site.done("a").await.len() >= 2).then_some(())).await;
        assert_eq!(site.done("a").await, ["farewell", "end"], "{action:?}");
    }
}

/// It stands behind a command that was set aside, and is given up with its instance.
#[tokio::test]
async fn what_an_earlier_instance_has_left_goes_on_when_what_stands_in_front_of_it_is_dropped() {
    let site = Site::new().await;
    break_it("x");
    break_it("event");
    on_error(|failure, process| match failure.command().and_then(SentCommand::command::<Do>) {
        Some(Do { what, .. }) if what == "x" => {
            process.send(Do { task: "a".to_owned(), what: "instead".to_owned() });
            ProcessAction::Skip
        }
        Some(_) => ProcessAction::Park,
        None => ProcessAction::Compensate,
    });
    break_it("1");
    site.foreman().handler().pause().await.unwrap();
    for word in ["start:do=x", "stop", "start:do=1:do=2"] {
        site.tell("a", word).await;
    }
    site.foreman().handler().resume().await.unwrap();
    until(async || (site.stuck().await.len() == 1).then_some(())).await;
    site.tell_all(&[("a", "go:may=event")]).await;
    until(async || (site.done("a").await == ["instead"]).then_some(())).await;
    assert_eq!(site.foreman().pending_commands(None, 10).await.unwrap(), []);
    assert_eq!(site.instance("a").await, None);
}
