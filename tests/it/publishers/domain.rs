//! A broker for the notes of a desk: what these tests share.

use std::time::Duration;

use cqrs::publisher::{BatchLimits, Message};
use cqrs::store::Store;
use cqrs::testing::TestPublisher;

pub use crate::handlers::domain::{Desk, Noted, note, status};

/// Whatever waits in these tests gives up after this time, which is paused: brokers are away for long.
const LIMIT: Duration = Duration::from_secs(4 * 3_600);

/// What `work` gives, which it must do within [`LIMIT`].
pub async fn soon<F: IntoFuture>(work: F) -> F::Output {
    tokio::time::timeout(LIMIT, work.into_future()).await.expect("it takes far less than the limit")
}

/// Looks again and again until there is something to see.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    soon(async {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        loop {
            tick.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    })
    .await
}

/// Under which name the desk's publisher runs.
pub const NAME: &str = "test-publisher";

pub type Broker = TestPublisher<Noted>;

pub fn broker_of(messages: usize) -> Broker {
    Broker::new().limits(BatchLimits::new().messages(messages))
}

pub async fn desk(store: impl Store, broker: &Broker) -> Desk {
    Desk::builder(store).publisher(broker.clone()).start().await.unwrap()
}

/// Notes these texts in as many books as there are names before a `:`.
pub async fn note_all(desk: &Desk, texts: &[&str]) {
    for text in texts {
        let (book, _) = text.split_once(':').unwrap();
        desk.dispatch(note(book, *text)).await.unwrap();
    }
}

/// A log with these notes, written before any publisher runs.
pub async fn noted(store: &(impl Store + Clone), texts: &[&str]) {
    let desk = Desk::builder(store.clone()).start().await.unwrap();
    note_all(&desk, texts).await;
    desk.shutdown().await;
}

pub fn texts(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| serde_json::from_slice::<Noted>(&message.payload).unwrap().text;
    messages.iter().map(text).collect()
}

/// That what came once more came under the same id, and that the distinct messages are in the order of the log.
pub fn check_messages(broker: &Broker, expected: &[&str]) {
    let distinct = broker.distinct_messages();
    assert_eq!(texts(&distinct), expected);
    assert!(distinct.is_sorted_by(|one, other| one.position < other.position));
    for message in broker.messages() {
        assert!(distinct.contains(&message), "{message:?} came under one id with two contents");
    }
}
