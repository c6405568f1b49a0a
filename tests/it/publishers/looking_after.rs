//! A publisher is looked after as every handler is.

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::publisher::{Confirmed, Message};

#[tokio::test(start_paused = true)]
async fn it_is_paused_and_resumed() {
    let broker = broker_of(10);
    let desk = desk(MemoryStore::new(), &broker).await;
    let handler = desk.handler(NAME).unwrap();
    handler.pause().await.unwrap();
    until(async || (status(&desk, NAME).await.state == HandlerState::Paused).then_some(())).await;
    note_all(&desk, &["a:1", "a:2"]).await;
    assert!(broker.messages().is_empty());
    handler.resume().await.unwrap();
    soon(broker.received(2)).await;
    check_messages(&broker, &["a:1", "a:2"]);
    desk.shutdown().await;
}

/// A pause does not wait until the broker is back.
#[tokio::test(start_paused = true)]
async fn it_is_paused_while_it_waits_for_the_broker() {
    let broker = broker_of(10);
    for _ in 0..100 {
        broker.fail_before("away");
    }
    let desk = desk(MemoryStore::new(), &broker).await;
    note_all(&desk, &["a:1"]).await;
    until(async || (broker.attempts().len() > 10).then_some(())).await;
    let handler = desk.handler(NAME).unwrap();
    handler.pause().await.unwrap();
    until(async || (status(&desk, NAME).await.state == HandlerState::Paused).then_some(())).await;
    let attempts = broker.attempts().len();
    assert!(attempts < 100);
    handler.resume().await.unwrap();
    soon(broker.received(1)).await;
    desk.shutdown().await;
}

/// All is published again, under the ids it had.
#[tokio::test(start_paused = true)]
async fn it_begins_anew_under_the_same_ids() {
    let broker = broker_of(2);
    let desk = desk(MemoryStore::new(), &broker).await;
    note_all(&desk, &["a:1", "b:2", "a:3"]).await;
    soon(broker.received(3)).await;
    desk.handler(NAME).unwrap().reset().await.unwrap();
    let messages = soon(broker.received(6)).await;
    assert_eq!(messages[..3], messages[3..]);
    desk.shutdown().await;
}

/// A publisher with a broker that a `Default` cannot know.
struct NeedsBroker;

impl Publisher for NeedsBroker {
    const NAME: &'static str = "needs-broker";
    type Event = Noted;
    type Error = std::io::Error;

    async fn publish(&self, _messages: &[Message]) -> Result<Confirmed, std::io::Error> {
        Ok(Confirmed::All)
    }
}

application! {
    struct Listed {
        routers: [crate::handlers::domain::DeskRouter],
        publishers: [NeedsBroker],
    }
}

#[tokio::test]
async fn one_that_is_listed_needs_an_instance_and_runs_with_one() {
    let refused = Listed::builder(MemoryStore::new()).start().await.unwrap_err().to_string();
    assert!(refused.contains("publisher") && refused.contains(".publisher("), "{refused}");
    let listed = Listed::builder(MemoryStore::new()).publisher(NeedsBroker).start().await.unwrap();
    let waits = Consistency::Handlers(vec!["needs-broker".into()]);
    soon(listed.dispatch(note("a", "1")).consistency(waits)).await.unwrap();
    assert_eq!(listed.handlers().await.unwrap().len(), 1);
    listed.shutdown().await;
}
