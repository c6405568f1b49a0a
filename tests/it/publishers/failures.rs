//! A broker that is away stops its publisher and nobody else; what it refuses for good is parked if the publisher says so.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::domain::*;
use crate::support::log::{raw, write};
use cqrs::MemoryStore;
use cqrs::handler::HandlerState;
use cqrs::id::MessageId;
use cqrs::prelude::*;
use cqrs::publisher::{Confirmed, Message, PublishError, PublishFailure, Publisher};
use cqrs::store::CheckpointStore as _;
use cqrs::testing::{TestPublishError, TestPublisher};
use serde_json::json;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_is_tried_again_for_ever_and_nothing_passes() {
    let store = MemoryStore::new();
    noted(&store, &["a:1", "b:2", "a:3"]).await;
    let broker = broker_of(2);
    for _ in 0..200 {
        broker.fail_before("away");
    }
    let desk = desk(store.clone(), &broker).await;
    until(async || (broker.attempts().len() > 100).then_some(())).await;
    let now = status(&desk, NAME).await;
    assert_eq!((now.state, now.position, now.parked), (HandlerState::Retrying, 0, 0));
    assert!(now.last_error.unwrap().contains("away"));
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(0));
    soon(broker.received(3)).await;
    check_messages(&broker, &["a:1", "b:2", "a:3"]);
    until(async || (status(&desk, NAME).await.state == HandlerState::Running).then_some(())).await;
    assert_eq!(status(&desk, NAME).await.last_error, None);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_delays_between_attempts_grow_up_to_half_a_minute() {
    let store = MemoryStore::new();
    let broker = broker_of(2);
    for _ in 0..30 {
        broker.fail_before("away");
    }
    let desk = desk(store, &broker).await;
    let began = Instant::now();
    desk.dispatch(note("a", "a:1")).await.unwrap();
    broker.received(1).await;
    // 100 ms doubled nine times at most 30 s, 21 times 30 s, of each between half and all.
    let seconds = began.elapsed().as_secs();
    assert!((300..=700).contains(&seconds), "it took {seconds} s");
    desk.shutdown().await;
}

/// D11: a broker that never answers is tried again.
#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_is_asked_again_after_a_minute() {
    #[derive(Clone, Default)]
    struct Deaf(Arc<Mutex<Vec<Attempt>>>);

    type Attempt = (Instant, Vec<MessageId>);

    impl Publisher for Deaf {
        const NAME: &'static str = "deaf";
        type Event = Noted;
        type Error = TestPublishError;

        async fn publish(&self, messages: &[Message]) -> Result<Confirmed, TestPublishError> {
            let attempts = {
                let mut attempts = self.0.lock().unwrap();
                attempts.push((Instant::now(), messages.iter().map(|message| message.id).collect()));
                attempts.len()
            };
            if attempts < 3 {
                std::future::pending::<()>().await;
            }
            Ok(Confirmed::All)
        }

        async fn on_error(&self, failure: &PublishFailure<TestPublishError>) -> ErrorAction {
            let minute = Duration::from_secs(60);
            assert!(matches!(failure.error, PublishError::TimedOut(limit) if limit == minute), "{failure:?}");
            failure.retry_for_ever()
        }
    }

    let (store, deaf) = (MemoryStore::new(), Deaf::default());
    noted(&store, &["a:1", "b:2"]).await;
    let desk = Desk::builder(store).publisher(deaf.clone()).start().await.unwrap();
    until(async || (desk.handler("deaf").unwrap().status().await.unwrap().position == 2).then_some(())).await;
    let attempts = std::mem::take(&mut *deaf.0.lock().unwrap());
    assert_eq!(attempts.len(), 3);
    for two in attempts.windows(2) {
        assert_eq!(two[0].1, two[1].1, "the same messages under the same ids");
        assert!(two[1].0 - two[0].0 >= Duration::from_secs(60));
    }
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_taken_and_not_confirmed_comes_again_under_the_same_ids() {
    let store = MemoryStore::new();
    noted(&store, &["a:1", "b:2"]).await;
    let broker = broker_of(2);
    broker.fail_after("connection lost");
    let desk = desk(store, &broker).await;
    let messages = soon(broker.received(4)).await;
    assert_eq!(messages[..2], messages[2..]);
    assert_ne!(messages[0].id, messages[1].id);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_stops_everything_unless_somebody_says_otherwise() {
    let store = MemoryStore::new();
    noted(&store, &["a:1", "b:bad", "c:3"]).await;
    let broker = broker_of(1);
    broker.refuse(|message| texts(std::slice::from_ref(message)) == ["b:bad"]);
    let desk = desk(store, &broker).await;
    until(async || (broker.attempts().len() > 50).then_some(())).await;
    assert_eq!(texts(&broker.messages()), ["a:1"]);
    desk.shutdown().await;
}

fn parking(messages: usize) -> Broker {
    let broker = broker_of(messages).on_error(|failure| match failure.error {
        PublishError::Failed(TestPublishError::Refused) => ErrorAction::Park,
        _ => failure.retry_for_ever(),
    });
    broker.refuse(|message| texts(std::slice::from_ref(message))[0].contains("bad"));
    broker
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_is_found_in_its_batch_and_parked_with_those_behind_it() {
    let store = MemoryStore::new();
    noted(&store, &["a:1", "b:bad", "a:3", "b:4", "c:5"]).await;
    let broker = parking(100);
    let desk = desk(store.clone(), &broker).await;
    soon(desk.dispatch(note("d", "d:6")).consistency(Strong)).await.unwrap();
    check_messages(&broker, &["a:1", "a:3", "c:5", "d:6"]);
    let handler = desk.handler(NAME).unwrap();
    let parked = handler.parked(None, 10).await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((&*parked[0].key, parked[0].position), ("book-b", 2));
    // Those who wait for a message that waits are told.
    let waited = soon(desk.dispatch(note("b", "b:7")).consistency(Strong)).await;
    assert!(matches!(waited, Err(DispatchError::NotHandled { .. })), "{waited:?}");

    // As long as it is refused, everything behind it waits, also after a restart.
    handler.retry_parked("book-b").await.unwrap();
    until(async || {
        let parked = handler.parked(None, 10).await.unwrap();
        (parked[0].attempts > 1).then_some(())
    })
    .await;
    desk.shutdown().await;
    broker.refuse(|_| false);
    let desk = self::desk(store, &broker).await;
    desk.handler(NAME).unwrap().retry_parked("book-b").await.unwrap();
    soon(broker.received(7)).await;
    assert_eq!(texts(&broker.messages()), ["a:1", "a:3", "c:5", "d:6", "b:bad", "b:4", "b:7"]);
    until(async || (status(&desk, NAME).await.parked == 0).then_some(())).await;
    soon(desk.dispatch(note("b", "b:8")).consistency(Strong)).await.unwrap();
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_parked_message_can_be_left_out() {
    let store = MemoryStore::new();
    noted(&store, &["b:bad", "b:2", "b:bad 3", "b:4"]).await;
    let broker = parking(1);
    let desk = desk(store, &broker).await;
    let handler = desk.handler(NAME).unwrap();
    until(async || (status(&desk, NAME).await.position == 4).then_some(())).await;
    assert!(broker.messages().is_empty());
    for (position, came) in [(3, &["b:2"][..]), (0, &["b:2", "b:4"])] {
        handler.skip_parked("book-b").await.unwrap();
        until(async || {
            let parked = handler.parked(None, 10).await.unwrap();
            (parked.first().map_or(0, |parked| parked.position) == position).then_some(())
        })
        .await;
        assert_eq!(texts(&broker.messages()), came);
    }
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_can_be_skipped() {
    let store = MemoryStore::new();
    noted(&store, &["b:1", "b:bad", "b:3"]).await;
    let broker = parking(100).on_error(|_| ErrorAction::Skip);
    let desk = desk(store, &broker).await;
    soon(desk.dispatch(note("b", "b:4")).consistency(Strong)).await.unwrap();
    check_messages(&broker, &["b:1", "b:3", "b:4"]);
    assert_eq!(status(&desk, NAME).await.parked, 0);
    desk.shutdown().await;
}

/// An event that nobody can read is not passed over: what is in front of it goes out, and the publisher stops.
#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_decoded_stops_the_publisher_behind_what_came_before() {
    let store = MemoryStore::new();
    noted(&store, &["a:1"]).await;
    write(&store, "book-b", vec![raw("desk.Noted", 1, &json!({ "wrong": true }))]).await;
    noted(&store, &["a:3"]).await;
    let broker = broker_of(100);
    let desk = desk(store.clone(), &broker).await;
    until(async || (status(&desk, NAME).await.state == HandlerState::Failed).then_some(())).await;
    assert_eq!(texts(&broker.messages()), ["a:1"]);
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(1));
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_event_that_cannot_be_decoded_is_parked_with_its_stream_if_told_so() {
    let store = MemoryStore::new();
    write(&store, "book-b", vec![raw("desk.Noted", 1, &json!({ "wrong": true }))]).await;
    write(&store, "book-b", vec![raw("desk.Noted", 1, &json!({ "book": "b", "text": "b:2" }))]).await;
    noted(&store, &["a:3"]).await;
    let broker = parking(100).on_error(|_| ErrorAction::Park);
    let desk = desk(store, &broker).await;
    soon(broker.received(1)).await;
    until(async || (status(&desk, NAME).await.position == 3).then_some(())).await;
    assert_eq!(texts(&broker.messages()), ["a:3"]);
    let handler = desk.handler(NAME).unwrap();
    assert_eq!(handler.parked(None, 10).await.unwrap()[0].key, "book-b");
    handler.skip_parked("book-b").await.unwrap();
    soon(broker.received(2)).await;
    assert_eq!(texts(&broker.messages()), ["a:3", "b:2"]);
    desk.shutdown().await;
}

/// A handler beside a publisher whose broker is away, and dispatches, go on.
#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_delays_nobody_else() {
    let (away, there) = (broker_of(1), broker_of(1));
    for _ in 0..1_000 {
        away.fail_before("away");
    }
    let desk = Desk::builder(MemoryStore::new())
        .publisher_as("away", away.clone())
        .publisher_as("there", there.clone())
        .start()
        .await
        .unwrap();
    for number in 0..10 {
        let text = format!("a:{number}");
        let waits = Consistency::Handlers(vec!["there".into()]);
        soon(desk.dispatch(note("a", text)).consistency(waits)).await.unwrap();
    }
    assert_eq!(there.messages().len(), 10);
    assert!(away.messages().is_empty());
    desk.shutdown().await;
}

/// Panics are failures like others.
#[tokio::test(start_paused = true)]
async fn a_publisher_that_panics_is_tried_again() {
    let broker: TestPublisher<Noted> = broker_of(1);
    let panics = Mutex::new(3);
    broker.refuse(move |_| {
        let mut left = panics.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *left > 0 {
            *left -= 1;
            drop(left);
            panic!("the client panics");
        }
        false
    });
    let desk = desk(MemoryStore::new(), &broker).await;
    soon(desk.dispatch(note("a", "a:1")).consistency(Strong)).await.unwrap();
    assert_eq!(broker.attempts().len(), 4);
    assert_eq!(texts(&broker.messages()), ["a:1"]);
    desk.shutdown().await;
}
