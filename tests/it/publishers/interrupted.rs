//! Orders that come while a batch is on its way to the broker: nothing is lost, and nothing is published twice that was
//! confirmed, unless somebody wants everything to be.

use super::domain::*;
use super::slow::SlowWay;
use cqrs::MemoryStore;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::publisher::PublishError;
use cqrs::store::CheckpointStore as _;
use cqrs::testing::{TestPublishError, settle};

const TEXTS: [&str; 7] = ["a:1", "b:2", "a:3", "c:4", "a:5", "b:6", "c:7"];

async fn start(store: &MemoryStore, way: &SlowWay) -> Desk {
    Desk::builder(store.clone()).publisher(way.clone()).start().await.unwrap()
}

/// A publisher whose first batch of two is on its way.
async fn busy() -> (MemoryStore, SlowWay, Desk) {
    let (store, way) = (MemoryStore::new(), SlowWay::to(&broker_of(2)));
    noted(&store, &TEXTS).await;
    let desk = start(&store, &way).await;
    soon(way.gate.arrival()).await;
    (store, way, desk)
}

#[tokio::test(start_paused = true)]
async fn a_pause_comes_behind_the_batch_that_is_on_its_way() {
    let (store, way, desk) = busy().await;
    let handler = desk.handler(NAME).unwrap();
    handler.pause().await.unwrap();
    way.gate.open();
    until(async || (status(&desk, NAME).await.state == HandlerState::Paused).then_some(())).await;
    assert_eq!(texts(&way.broker.messages()), TEXTS[..2]);
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(2));
    handler.resume().await.unwrap();
    until(async || (status(&desk, NAME).await.state == HandlerState::Running).then_some(())).await;
    settle(&desk).await;
    assert_eq!(texts(&way.broker.messages()), TEXTS, "each once");
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_comes_behind_the_batch_that_is_on_its_way_and_everything_comes_again_under_its_ids() {
    let (_store, way, desk) = busy().await;
    desk.handler(NAME).unwrap().reset().await.unwrap();
    way.gate.open();
    soon(way.broker.received(2 + TEXTS.len())).await;
    settle(&desk).await;
    assert_eq!(texts(&way.broker.messages()), [&TEXTS[..2], &TEXTS].concat());
    check_messages(&way.broker, &TEXTS);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_retried_or_left_out_comes_behind_the_batch_that_is_on_its_way() {
    let broker = broker_of(1).on_error(|failure| match failure.error {
        PublishError::Failed(TestPublishError::Refused) => ErrorAction::Park,
        _ => failure.retry_for_ever(),
    });
    broker.refuse(|message| texts(std::slice::from_ref(message))[0].contains("bad"));
    let store = MemoryStore::new();
    noted(&store, &["b:bad", "c:bad", "b:3", "c:4"]).await;
    let first = desk(store.clone(), &broker).await;
    until(async || (status(&first, NAME).await.parked == 2).then_some(())).await;
    settle(&first).await;
    first.shutdown().await;
    noted(&store, &["a:5", "b:6", "a:7", "c:8"]).await;

    let way = SlowWay::to(&broker);
    let desk = start(&store, &way).await;
    soon(way.gate.arrival()).await;
    broker.refuse(|_| false);
    let handler = desk.handler(NAME).unwrap();
    handler.retry_parked("book-b").await.unwrap();
    handler.skip_parked("book-c").await.unwrap();
    way.gate.open();
    soon(broker.received(7)).await;
    settle(&desk).await;
    let came = texts(&broker.messages());
    let of = |book: &str| -> Vec<_> { came.iter().filter(|text| text.starts_with(book)).cloned().collect() };
    assert_eq!(came.len(), 7, "{came:?}");
    assert_eq!((of("a"), of("c")), (vec!["a:5".into(), "a:7".into()], vec!["c:4".into(), "c:8".into()]));
    assert_eq!(of("b"), ["b:bad", "b:3", "b:6"]);
    assert_eq!(status(&desk, NAME).await.parked, 0);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_comes_behind_the_batch_that_is_on_its_way() {
    let (store, way, desk) = busy().await;
    let (stopped, ()) = tokio::join!(desk.shutdown(), async { way.gate.open() });
    assert!(stopped.is_clean());
    assert_eq!(texts(&way.broker.messages()), TEXTS[..2]);
    let desk = start(&store, &way).await;
    settle(&desk).await;
    assert_eq!(texts(&way.broker.messages()), TEXTS, "each once");
    desk.shutdown().await;
}
