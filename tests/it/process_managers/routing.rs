//! To which instances events lead.

use super::domain::*;
use crate::support::log::{raw, write};
use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::process_manager::ProcessError;
use cqrs::testing::settle;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// E-081, E-082, E-085, E-086, N-018, DEF-014
#[tokio::test]
async fn t_350_an_event_starts_an_instance_and_later_ones_go_on() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start:do=one"), ("a", "go:do=two"), ("b", "start:do=other")]).await;
    assert_eq!(site.done("a").await, ["one", "two"]);
    assert_eq!(site.done("b").await, ["other"]);
    assert_eq!(site.words("a").await.unwrap(), ["start:do=one", "go:do=two"]);
}

#[tokio::test]
async fn roles_that_do_not_fit_pass_by() {
    let site = Site::new().await;
    site.tell_all(&[("a", "go:do=no"), ("a", "stop:do=no"), ("a", "none:do=no")]).await;
    assert_eq!(site.instance("a").await, None);
    site.tell_all(&[("a", "start"), ("a", "start:do=no"), ("a", "any:do=yes"), ("b", "any:do=yes")]).await;
    assert_eq!(site.done("a").await, ["yes"]);
    assert_eq!(site.done("b").await, ["yes"]);
}

/// E-084, L-002
#[tokio::test]
async fn t_352_t_360_a_stop_ends_the_instance_in_memory_or_not_and_a_start_begins_anew() {
    let site = Site::new().await;
    site.tell_all(&[("a", "start"), ("a", "stop:do=farewell")]).await;
    assert_eq!(site.instance("a").await, None);
    assert_eq!(site.done("a").await, ["farewell"]);
    site.tell_all(&[("a", "start")]).await;
    assert_eq!(site.words("a").await.unwrap(), ["start"]);
    // Not in memory.
    let site = site.restart().await;
    site.tell_all(&[("a", "stop")]).await;
    assert_eq!(site.instance("a").await, None);
}

#[tokio::test]
async fn an_instance_can_end_and_begin_within_one_page() {
    let site = Site::new().await;
    site.foreman().handler().pause().await.unwrap();
    for word in ["start:by=x/1000", "stop:do=1", "start:do=2", "go:do=3"] {
        site.tell("a", word).await;
    }
    site.foreman().handler().resume().await.unwrap();
    site.settle().await;
    assert_eq!(site.words("a").await.unwrap(), ["start:do=2", "go:do=3"]);
    assert_eq!(site.done("a").await, ["1", "2", "3"]);
    assert_eq!(site.foreman().timers(None, 10).await.unwrap(), [], "that of the first instance is gone");
}

#[tokio::test]
async fn t_353_an_event_for_no_instance_is_passed_by() {
    let site = Site::new().await;
    site.tell_all(&[("a", "none"), ("a", "start:do=one")]).await;
    assert_eq!(site.done("a").await, ["one"]);
}

#[tokio::test]
async fn t_354_t_366_an_event_leads_to_several_instances_each_once() {
    let site = Site::new().await;
    site.tell_all(&[("a+b+c+a", "start:do=it")]).await;
    for job in ["a", "b", "c"] {
        assert_eq!(site.done(job).await, ["it"]);
        assert_eq!(site.words(job).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn t_355_a_strict_start_fails_on_an_instance_that_is_there() {
    let site = Site::new().await;
    on_error(|failure, _| {
        assert!(matches!(failure.error, ProcessError::AlreadyStarted), "{failure:?}");
        ProcessAction::Skip
    });
    site.tell_all(&[("a", "start!:do=one"), ("a", "start!:do=no"), ("a", "go:do=two")]).await;
    assert_eq!(site.done("a").await, ["one", "two"]);
}

/// L-026
#[tokio::test]
async fn a_strict_continue_fails_without_an_instance() {
    let site = Site::new().await;
    on_error(|failure, _| {
        assert!(matches!(failure.error, ProcessError::NotStarted), "{failure:?}");
        ProcessAction::Skip
    });
    site.tell_all(&[("a", "go!:do=no")]).await;
    assert_eq!(site.instance("a").await, None, "nothing is left behind");
    site.tell_all(&[("a", "start"), ("a", "go!:do=one")]).await;
    assert_eq!(site.done("a").await, ["one"]);
}

#[tokio::test]
async fn t_357_a_panic_in_telling_the_interest_is_a_failure_of_the_event() {
    let site = Site::new().await;
    break_it("interest");
    on_error(|failure, _| {
        assert!(matches!(&failure.error, ProcessError::Panicked(_)), "{failure:?}");
        ProcessAction::Skip
    });
    site.tell_all(&[("a", "explode:do=no"), ("a", "start:do=one")]).await;
    assert_eq!(site.done("a").await, ["one"]);
}

#[tokio::test]
async fn t_357_what_cannot_be_told_is_parked_by_its_stream_and_retried() {
    let site = Site::new().await;
    break_it("interest");
    site.tell_all(&[("a", "explode:do=first"), ("a", "any:do=second"), ("b", "any:do=other")]).await;
    assert_eq!(site.done("b").await, ["other"]);
    let parked = site.foreman().handler().parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!(parked[0].key, "job-a");
    assert!(site.done("a").await.is_empty(), "later events of the stream wait");
    mend("interest");
    site.foreman().handler().retry_parked("job-a").await.unwrap();
    until(async || (site.done("a").await.len() == 2).then_some(())).await;
    assert_eq!(site.done("a").await, ["first", "second"]);
}

/// Also one of several: which instances it is for cannot be told as a whole.
#[tokio::test]
async fn an_identity_that_no_database_keeps_is_a_failure_of_the_event() {
    let site = Site::new().await;
    let told = |job: &str, word: &str| raw("jobs.Told", 1, &json!({ "job": job, "word": word }));
    write(&site.store, "job-a", vec![told("a\0b+c", "start:do=no"), told("a", "start:do=later")]).await;
    write(&site.store, "job-b", vec![told("b", "start:do=1")]).await;
    site.settle().await;
    assert_eq!((site.done("b").await, site.done("a").await), (vec!["1".to_owned()], vec![]));
    let parked = site.foreman().handler().parked(None, 10).await.unwrap();
    assert_eq!((parked.len(), parked[0].key.as_str(), parked[0].position), (1, "job-a", 1));
    assert!(parked[0].error.contains(r#""a\0b" cannot name an instance"#), "{}", parked[0].error);
    on_error(|failure, _| {
        assert!(
            matches!(&failure.error, ProcessError::InvalidInstance { instance } if instance == "a\0b"),
            "{failure:?}"
        );
        ProcessAction::Skip
    });
    site.foreman().handler().retry_parked("job-a").await.unwrap();
    until(async || (site.done("a").await == ["later"]).then_some(())).await;
    assert!(site.done("c").await.is_empty());
}

#[tokio::test]
async fn an_identity_has_at_most_as_many_bytes_as_the_name_of_a_stream() {
    let site = Site::new().await;
    let [longest, longer] = [255, 256].map(|bytes| "x".repeat(bytes));
    let told = |job: &str| raw("jobs.Told", 1, &json!({ "job": job, "word": "start:by=x/1000" }));
    write(&site.store, "job-a", vec![told(&longest), told(&longer)]).await;
    site.settle().await;
    assert!(site.instance(&longest).await.is_some());
    let parked = site.foreman().handler().parked(None, 10).await.unwrap();
    assert_eq!((parked.len(), parked[0].key.as_str(), parked[0].position), (1, "job-a", 2));
    assert!(parked[0].error.contains("give at most 255 bytes"), "{}", parked[0].error);
}

/// Knows how many words its job was told since it is there.
#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Newcomer {
    words: usize,
}

#[process_manager(name = "newcomer", interested_in = [Told], start_from = current, consistency = strong)]
impl Newcomer {
    #[on(with = interest)]
    fn told(&mut self, _event: &Told) {
        self.words += 1;
    }
}

application! {
    /// Waits for process managers unless a command says otherwise.
    pub struct Hires {
        routers: [JobRouter],
        process_managers: [Newcomer],
        consistency: strong,
    }
}

async fn words(hires: &Hires, job: &str) -> Option<usize> {
    let instance = hires.process_manager("newcomer").unwrap().instance(job).await.unwrap()?;
    Some(serde_json::from_value::<Newcomer>(instance.state).unwrap().words)
}

async fn position(hires: &Hires) -> u64 {
    hires.process_manager("newcomer").unwrap().handler().status().await.unwrap().position
}

/// T-358
#[tokio::test]
async fn t_358_what_is_of_no_interest_is_passed_over_and_what_was_before_is_not_seen() {
    let store = MemoryStore::new();
    for job in ["a", "b"] {
        let told = raw("jobs.Told", 1, &json!({ "job": job, "word": "start" }));
        write(&store, &format!("job-{job}"), vec![told]).await;
    }
    let hires = Hires::builder(store.clone()).start().await.unwrap();
    for word in ["none", "go", "any", "none"] {
        soon(hires.dispatch(tell("a", word)).into_future()).await.unwrap();
    }
    settle(&hires).within(LIMIT).await;
    assert_eq!((words(&hires, "a").await, words(&hires, "b").await), (Some(1), None));
    assert_eq!(position(&hires).await, 6);
    // None of it comes again.
    hires.shutdown().await;
    let hires = Hires::builder(store.clone()).start().await.unwrap();
    hires.dispatch(tell("b", "go")).await.unwrap();
    assert_eq!((words(&hires, "a").await, words(&hires, "b").await), (Some(1), None));
    hires.shutdown().await;
}

/// L-019
#[tokio::test]
async fn a_process_manager_is_waited_for_where_the_application_says_so() {
    let hires = Hires::builder(MemoryStore::new()).start().await.unwrap();
    for count in 1..=20 {
        soon(hires.dispatch(tell("a", "any")).into_future()).await.unwrap();
        assert_eq!((position(&hires).await, words(&hires, "a").await), (count, usize::try_from(count).ok()));
    }
    hires.shutdown().await;
}
