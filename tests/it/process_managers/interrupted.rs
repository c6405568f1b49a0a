//! Orders that come while a process manager is in the middle of its work: nothing is lost, no command is carried out twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::domain::*;
use crate::applications::faulty_store::{Call, Fault, FaultyStore};
use crate::support::gate::Gate;
use crate::support::log::{raw, sound_log, write};
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::handler::HandlerState;
use cqrs::store::CheckpointStore as _;
use cqrs::testing::{TestClock, settle};
use serde_json::json;
use tokio::sync::Notify;

const JOBS: usize = 60;
const WORDS: usize = 20;

/// Words for many jobs, more than are handled at once, the first of which waits at the gate.
async fn write_words(store: &MemoryStore) {
    for number in 0..WORDS {
        for job in 0..JOBS {
            let wait = if (job, number) == (0, 0) { ":wait" } else { "" };
            tell_raw(store, &format!("j{job}"), &format!("any{wait}:do={number}")).await;
        }
    }
}

async fn tell_raw(store: &MemoryStore, job: &str, word: &str) {
    let told = raw("jobs.Told", 1, &json!({ "job": job, "word": word }));
    write(store, &format!("job-{job}"), vec![told]).await;
}

/// An application that has begun with these words.
async fn busy(store: MemoryStore, clock: TestClock) -> (Site, Gate) {
    write_words(&store).await;
    let gate = gate();
    // All of them are read at once.
    let config = Config::new().tail_page(10_000);
    let jobs = Jobs::builder(store.clone()).clock(clock.clone()).config(config).start().await.unwrap();
    soon(gate.arrival()).await;
    (Site { store, clock, jobs }, gate)
}

async fn until_state(jobs: &Jobs, state: HandlerState) {
    until(async || {
        let status = jobs.process_manager("foreman").unwrap().handler().status().await.unwrap();
        (status.state == state).then_some(())
    })
    .await;
}

/// Each command was carried out once, and those of a job in their order.
async fn check_done(store: &MemoryStore) {
    let all: Vec<_> = (0..WORDS).map(|number| number.to_string()).collect();
    for job in 0..JOBS {
        assert_eq!(done(store, &format!("j{job}")).await, all, "of j{job}");
    }
    sound_log(store).await;
}

/// How often each word was handled, of which all were at least once; gives the most.
fn most_handled() -> usize {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for seen in seen().into_iter().filter(|seen| seen.contains(" any")) {
        *times.entry(seen).or_default() += 1;
    }
    assert_eq!(times.len(), JOBS * WORDS);
    times.into_values().max().unwrap()
}

#[tokio::test]
async fn a_pause_comes_behind_the_events_that_are_handled_together() {
    let (site, gate) = busy(MemoryStore::new(), TestClock::new()).await;
    site.foreman().handler().pause().await.unwrap();
    gate.open();
    until_state(&site.jobs, HandlerState::Paused).await;
    let position = site.store.checkpoint("foreman").await.unwrap().unwrap();
    assert!(position > 0 && position < (JOBS * WORDS) as u64, "paused at {position}");
    let handled = seen().into_iter().filter(|seen| seen.contains(" any")).count();
    assert_eq!(handled as u64, position, "what is handled is written, and nothing else was");
    site.foreman().handler().resume().await.unwrap();
    until_state(&site.jobs, HandlerState::Running).await;
    site.settle().await;
    check_done(&site.store).await;
    let rest = seen().into_iter().filter(|seen| seen.contains(" any")).count();
    assert_eq!(handled + rest, JOBS * WORDS, "no event is handled twice");
}

#[tokio::test]
async fn g_007_a_reset_in_the_middle_carries_no_command_out_twice() {
    let (site, gate) = busy(MemoryStore::new(), TestClock::new()).await;
    site.foreman().handler().reset().await.unwrap();
    gate.open();
    site.settle().await;
    check_done(&site.store).await;
    assert_eq!(most_handled(), 2, "it has begun anew");
    assert_eq!(site.words("j7").await.unwrap().len(), WORDS);
}

#[tokio::test]
async fn what_is_to_be_retried_or_left_out_waits_for_the_events_that_are_handled_together() {
    let site = Site::new().await;
    break_it("x");
    for job in ["p", "q"] {
        site.tell_all(&[(job, "start:may=x:do=1"), (job, "any:do=2")]).await;
    }
    site.tell_all(&[("r", "start:do=x:do=3")]).await;
    assert!(site.jobs.shutdown().await.is_clean());
    drop(seen());
    write_words(&site.store).await;
    for job in ["p", "q", "r"] {
        tell_raw(&site.store, job, "any:do=4").await;
    }
    let gate = gate();
    let site = Site::on(site.store, site.clock).await;
    soon(gate.arrival()).await;
    mend("x");
    site.foreman().retry("p").await.unwrap();
    site.foreman().skip("q").await.unwrap();
    site.foreman().retry("r").await.unwrap();
    gate.open();
    until(async || (site.done("p").await.len() == 3).then_some(())).await;
    site.settle().await;
    assert_eq!(site.done("p").await, ["1", "2", "4"]);
    assert_eq!(site.done("q").await, ["2", "4"]);
    assert_eq!(site.done("r").await, ["x", "3", "4"]);
    check_done(&site.store).await;
    assert!(site.foreman().handler().parked(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn t_383_a_stop_in_the_middle_repeats_nothing() {
    let (site, gate) = busy(MemoryStore::new(), TestClock::new()).await;
    let (stopped, ()) = tokio::join!(site.jobs.shutdown(), async { gate.open() });
    assert!(stopped.is_clean());
    let site = Site::on(site.store, site.clock).await;
    site.settle().await;
    check_done(&site.store).await;
    assert_eq!(most_handled(), 1);
}

/// Nobody waits until the step ends: it comes again.
#[tokio::test]
async fn t_383_a_stop_that_cuts_a_step_off_loses_nothing() {
    let (site, gate) = busy(MemoryStore::new(), TestClock::new()).await;
    let stopped = site.jobs.shutdown_within(Duration::from_millis(10)).await;
    assert_eq!(stopped.unfinished_handlers, ["foreman"]);
    gate.open();
    let site = Site::on(site.store, site.clock).await;
    site.settle().await;
    check_done(&site.store).await;
    assert_eq!(most_handled(), 2);
}

/// An application, one of whose commands is on its way.
async fn with_a_command_on_its_way() -> (FaultyStore, Jobs, Arc<Notify>) {
    let (store, go_on) = (FaultyStore::default(), Arc::new(Notify::new()));
    let jobs = Jobs::builder(store.clone()).start().await.unwrap();
    store.fail(Call::Append, Fault::Hold(Arc::clone(&go_on)), 1);
    tell_raw(&store.inner, "a", "start:do=1:do=2").await;
    until(async || (store.calls(Call::Append) > 0).then_some(())).await;
    (store, jobs, go_on)
}

#[tokio::test]
async fn a_command_that_is_on_its_way_when_its_process_manager_is_paused_is_carried_out_once() {
    let (store, jobs, go_on) = with_a_command_on_its_way().await;
    let foreman = jobs.process_manager("foreman").unwrap();
    foreman.handler().pause().await.unwrap();
    until_state(&jobs, HandlerState::Paused).await;
    go_on.notify_one();
    until(async || (done(&store.inner, "a").await == ["1"]).then_some(())).await;
    foreman.handler().resume().await.unwrap();
    until_state(&jobs, HandlerState::Running).await;
    settle(&jobs).within(LIMIT).await;
    assert_eq!(done(&store.inner, "a").await, ["1", "2"]);
}

#[tokio::test]
async fn g_007_a_command_that_is_on_its_way_when_its_process_manager_is_reset_is_carried_out_once() {
    let (store, jobs, go_on) = with_a_command_on_its_way().await;
    drop(seen());
    jobs.process_manager("foreman").unwrap().handler().reset().await.unwrap();
    let mut again = Vec::new();
    until(async || {
        again.extend(seen());
        (!again.is_empty()).then_some(())
    })
    .await;
    go_on.notify_one();
    settle(&jobs).within(LIMIT).await;
    assert_eq!(done(&store.inner, "a").await, ["1", "2"]);
}

#[tokio::test]
async fn g_007_a_command_that_is_on_its_way_when_its_node_stops_is_carried_out_once() {
    let (store, jobs, go_on) = with_a_command_on_its_way().await;
    let (stopped, ()) = tokio::join!(jobs.shutdown(), async { go_on.notify_one() });
    assert!(stopped.is_clean());
    let jobs = Jobs::builder(store.clone()).start().await.unwrap();
    settle(&jobs).within(LIMIT).await;
    assert_eq!(done(&store.inner, "a").await, ["1", "2"]);
}
