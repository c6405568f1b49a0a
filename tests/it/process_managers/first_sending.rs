//! A command is looked up before it is carried out where it may have been sent before, and only there.

use super::domain::*;
use crate::support::store::{Act, ScriptedStore};
use cqrs::testing::settle;

/// Starts the application, and waits until its process manager has begun.
async fn start(store: &ScriptedStore) -> Jobs {
    let jobs = Jobs::builder(store.clone()).start().await.unwrap();
    tell_all(&jobs, &[("nobody", "none")]).await;
    jobs
}

async fn tell_all(jobs: &Jobs, words: &[(&str, &str)]) {
    for (job, word) in words {
        jobs.dispatch(tell(job, word)).await.unwrap();
    }
    settle(jobs).within(LIMIT).await;
}

#[tokio::test]
async fn a_command_that_cannot_have_been_sent_before_is_not_looked_up() {
    let store = ScriptedStore::default();
    let jobs = start(&store).await;
    tell_all(&jobs, &[("a", "start:do=1:do=2"), ("b", "start!:do=1"), ("a", "go:do=3"), ("b", "stop:do=2")])
        .await;
    assert_eq!(done(&store, "a").await, ["1", "2", "3"]);
    assert_eq!(done(&store, "b").await, ["1", "2"]);
    assert_eq!(store.questions(), 0);
}

#[tokio::test(start_paused = true)]
async fn t_376_a_command_whose_outcome_was_lost_is_looked_up() {
    let store = ScriptedStore::default();
    let jobs = start(&store).await;
    store.then([Act::Pass, Act::LoseOutcome, Act::Pass, Act::LoseAppend]);
    tell_all(&jobs, &[("a", "start:do=1")]).await;
    assert_eq!(store.questions(), 1);
    tell_all(&jobs, &[("b", "start:do=2")]).await;
    assert_eq!(store.questions(), 2);
    assert_eq!(done(&store, "a").await, ["1"]);
    assert_eq!(done(&store, "b").await, ["2"]);
    assert_eq!(store.appends(), 6, "what was made is not tried again");
}

#[tokio::test]
async fn t_373_a_command_that_was_refused_is_looked_up() {
    let store = ScriptedStore::default();
    let jobs = start(&store).await;
    break_it("x");
    tell_all(&jobs, &[("a", "start:do=x")]).await;
    assert_eq!(store.questions(), 1, "before the refusal is believed");
    mend("x");
    jobs.process_manager("foreman").unwrap().retry("a").await.unwrap();
    until(async || (done(&store, "a").await == ["x"]).then_some(())).await;
    assert_eq!(store.questions(), 2);
}

/// After a restart the instance is one of an earlier tenure, whose commands may have been sent.
#[tokio::test]
async fn t_383_commands_of_an_earlier_instance_are_looked_up() {
    let store = ScriptedStore::default();
    let jobs = start(&store).await;
    tell_all(&jobs, &[("a", "start:do=1")]).await;
    assert!(jobs.shutdown().await.is_clean());
    let jobs = start(&store).await;
    tell_all(&jobs, &[("a", "go:do=2"), ("b", "start:do=1")]).await;
    assert_eq!(done(&store, "a").await, ["1", "2"]);
    assert_eq!(store.questions(), 1);
}

/// The events come again with the same ids for their commands: none is decided once more.
#[tokio::test]
async fn t_359_after_a_reset_commands_are_looked_up() {
    let store = ScriptedStore::default();
    let jobs = start(&store).await;
    tell_all(&jobs, &[("a", "start:do=1"), ("a", "go:do=2"), ("b", "start:do=3")]).await;
    assert_eq!((store.questions(), store.appends()), (0, 7));
    // A decision would be refused now.
    ["1", "2", "3"].into_iter().for_each(break_it);
    jobs.process_manager("foreman").unwrap().handler().reset().await.unwrap();
    until(async || (store.questions() == 3).then_some(())).await;
    settle(&jobs).within(LIMIT).await;
    assert_eq!((store.questions(), store.appends()), (3, 7));
    assert_eq!(done(&store, "a").await, ["1", "2"]);
    assert_eq!(done(&store, "b").await, ["3"]);
    // What is told now comes behind the reset.
    tell_all(&jobs, &[("c", "start:do=4")]).await;
    assert_eq!((done(&store, "c").await, store.questions()), (vec!["4".to_owned()], 3));
}
