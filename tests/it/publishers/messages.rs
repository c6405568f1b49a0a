//! What messages are made of.

use std::sync::Mutex;

use super::domain::*;
use crate::support::log::events_of;
use cqrs::MemoryStore;
use cqrs::event::Metadata;
use cqrs::id::{CausationId, MessageId};
use cqrs::prelude::*;
use cqrs::publisher::{Confirmed, IntegrationEvent, Message};
use serde_json::json;
use tokio::sync::mpsc;

#[tokio::test(start_paused = true)]
async fn a_message_tells_the_event_as_it_is() {
    let store = MemoryStore::new();
    let broker = broker_of(10);
    let desk = desk(store.clone(), &broker).await;
    let noted =
        soon(desk.dispatch(note("a", "1")).metadata("actor", "u-7").consistency(Strong)).await.unwrap();
    let event = events_of(&store, "book-a").await.remove(0);
    let [message] = &broker.messages()[..] else { panic!("one message") };
    assert_eq!(message.id, MessageId::of(NAME, event.event_id, 0));
    assert_eq!((&*message.event_type, message.version), ("desk.Noted", 1));
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&message.payload).unwrap(),
        json!({ "book": "a", "text": "1" })
    );
    assert_eq!(message.partition_key, "book-a");
    assert_eq!((message.event_id, message.position), (event.event_id, 1));
    assert_eq!((message.stream_id.as_str(), message.stream_version), ("book-a", 1));
    assert_eq!(message.created_at, event.created_at);
    assert_eq!(message.correlation_id, event.correlation_id);
    assert_eq!(message.causation_id, CausationId::from(noted.command_id()));
    assert_eq!(message.metadata.get("actor"), Some(&json!("u-7")));
    desk.shutdown().await;
}

/// Tells others of some notes, in words of its own.
struct Gazette {
    printed: mpsc::Sender<Message>,
    attempts: Mutex<Vec<usize>>,
}

#[derive(serde::Serialize)]
struct Headline<'a> {
    title: &'a str,
}

impl Publisher for Gazette {
    const NAME: &'static str = "gazette";
    type Event = Noted;
    type Error = std::io::Error;

    fn message(
        &self,
        event: &Noted,
        context: &EventContext,
    ) -> Result<Option<IntegrationEvent>, serde_json::Error> {
        if event.text.starts_with("secret") {
            return Ok(None);
        }
        let headline = IntegrationEvent::new("Headline", 3, &Headline { title: &event.text })?;
        let metadata: Metadata = [("edition", context.position())].into_iter().collect();
        Ok(Some(headline.partition_key(event.book.clone()).metadata(metadata)))
    }

    async fn publish(&self, messages: &[Message]) -> Result<Confirmed, std::io::Error> {
        self.attempts.lock().unwrap().push(messages.len());
        messages.iter().for_each(|message| self.printed.try_send(message.clone()).unwrap());
        Ok(Confirmed::All)
    }
}

#[tokio::test(start_paused = true)]
async fn an_integration_event_is_a_contract_of_its_own_and_some_events_are_none() {
    let store = MemoryStore::new();
    noted(&store, &["a:1"]).await;
    let (printed, mut read) = mpsc::channel(100);
    let gazette = Gazette { printed, attempts: Mutex::default() };
    let desk = Desk::builder(store).publisher(gazette).start().await.unwrap();
    desk.dispatch(note("b", "secret")).metadata("actor", "u-7").await.unwrap();
    desk.dispatch(note("c", "c:3")).metadata("actor", "u-7").await.unwrap();
    let mut messages = Vec::new();
    while messages.len() < 2 {
        messages.push(soon(read.recv()).await.unwrap());
    }
    let told = messages.iter().map(|message| (&*message.event_type, message.version, message.position));
    assert_eq!(told.collect::<Vec<_>>(), [("Headline", 3, 1), ("Headline", 3, 3)]);
    assert_eq!(messages[1].payload, &br#"{"title":"c:3"}"#[..]);
    assert_eq!(messages[1].partition_key, "c");
    assert_eq!(messages[1].metadata, [("edition", 3)].into_iter().collect());
    // What is told to nobody is behind the publisher all the same.
    until(async || (status(&desk, "gazette").await.lag == 0).then_some(())).await;
    desk.shutdown().await;
}

/// An event of old becomes several, each a message with an id of its own; and an id is the same in each run.
#[test]
fn ids_follow_from_publisher_event_and_ordinal() {
    let event = cqrs::id::EventId::from(uuid::Uuid::from_u128(7));
    let other = cqrs::id::EventId::from(uuid::Uuid::from_u128(8));
    let id = MessageId::of("broker", event, 0);
    assert_eq!(id, MessageId::of("broker", event, 0));
    for different in [
        MessageId::of("broker", event, 1),
        MessageId::of("other", event, 0),
        MessageId::of("broker", other, 0),
    ] {
        assert_ne!(id, different);
    }
}
