//! Effects that an instance must not make twice, however often an event is tried.

use super::domain::*;
use crate::support::log::{raw, write};
use cqrs::event::RawEvent;
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Two words, as they were once stored together.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "jobs.ToldTwice", version = 2, upcast(1 => each -> [Told]))]
pub struct ToldTwice {}

fn each(data: Value) -> Vec<RawEvent> {
    let Value::Array(words) = data else { panic!("no words: {data}") };
    words.into_iter().map(RawEvent::of::<Told>).collect()
}

/// How often an instance has made an effect since that was asked last.
fn made(effect: &str) -> usize {
    seen().iter().filter(|seen| *seen == effect).count()
}

async fn kept(site: &Site) -> usize {
    site.store.records("foreman", "effect", None, 100).await.unwrap().len()
}

/// Has the event tried again that an instance is parked at, and waits until it is handled.
async fn retry(site: &Site, instance: &str) {
    site.foreman().retry(instance).await.unwrap();
    until(async || site.instance(instance).await).await;
    site.settle().await;
}

#[tokio::test]
async fn an_effect_is_made_once_however_often_the_event_is_tried() {
    let site = Site::new().await;
    break_it("x");
    on_error(|failure, _| {
        if failure.attempt == 3 {
            mend("x");
        }
        ProcessAction::Retry
    });
    site.tell_all(&[("a", "start:once=charge:may=x")]).await;
    assert_eq!(made("a once charge"), 1);
    assert_eq!(kept(&site).await, 0, "what is handled leaves nothing");
    site.tell_all(&[("a", "go:once=charge")]).await;
    assert_eq!(made("a once charge"), 1, "that is another event");
}

#[tokio::test]
async fn a_result_outlives_the_application() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:once=charge:may=x"), ("b", "start")]).await;
    assert_eq!((made("a once charge"), kept(&site).await), (1, 1));
    let site = site.restart().await;
    mend("x");
    retry(&site, "a").await;
    assert_eq!((made("a once charge"), kept(&site).await), (0, 0));
}

/// Each instance keeps its own, also when the name of one begins like that of another.
#[tokio::test]
async fn what_one_instance_has_handled_another_may_have_to_try_again() {
    for parked in ["a", "a/b"] {
        let (site, fault, effect) =
            (Site::new().await, format!("x of {parked}"), format!("{parked} once charge"));
        break_it(&fault);
        site.tell_all(&[("a+a/b", "start:once=charge:own=x")]).await;
        assert_eq!((made(&effect), kept(&site).await), (1, 1), "{parked}");
        mend(&fault);
        retry(&site, parked).await;
        assert_eq!((made(&effect), kept(&site).await), (0, 0), "{parked}");
    }
}

#[tokio::test]
async fn a_parked_event_that_is_left_out_leaves_no_results() {
    let site = Site::new().await;
    break_it("x");
    site.tell_all(&[("a", "start:once=charge:may=x"), ("a", "any:do=1")]).await;
    assert_eq!(kept(&site).await, 1);
    site.foreman().skip("a").await.unwrap();
    until(async || (site.done("a").await == ["1"]).then_some(())).await;
    assert_eq!((made("a once charge"), kept(&site).await), (1, 0));
}

/// Each of the events that one was upcast to has effects of its own, of whatever label.
#[tokio::test]
async fn effects_of_an_event_that_was_upcast_to_several_are_kept_apart() {
    let site = Site::new().await;
    break_it("x");
    let words =
        ["start:once=charge", "any:once=charge:may=x"].map(|word| json!({ "job": "a", "word": word }));
    write(&site.store, "job-a", vec![raw("jobs.ToldTwice", 1, &json!(words))]).await;
    site.settle().await;
    assert_eq!((made("a once charge"), kept(&site).await), (2, 2));
    let site = site.restart().await;
    mend("x");
    retry(&site, "a").await;
    assert_eq!((made("a once charge"), kept(&site).await), (0, 0));
}
