//! Partitions that are left to another node in the middle of the events that were read for them: each event is handled
//! once, and those of a key in their order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::handler::{Envelope, EventHandler, HandlerState};
use cqrs::prelude::*;

const BOOKS: usize = 40;
const TEXTS: usize = 25;

/// What was handled, by book: the text, and the node.
type Handled = Arc<Mutex<BTreeMap<String, Vec<(usize, &'static str)>>>>;

/// Notes down what it handles, and where; waits at the gate before.
#[derive(Clone)]
pub struct Noting {
    node: &'static str,
    gate: Option<Gate>,
    handled: Handled,
}

impl Noting {
    async fn handle(&self, events: impl Iterator<Item = &Noted>) {
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        let mut handled = self.handled.lock().unwrap();
        for event in events {
            handled.entry(event.book.clone()).or_default().push((event.text.parse().unwrap(), self.node));
        }
    }
}

#[derive(Clone)]
pub struct Single(Noting);

#[event_handler(name = "divided", interested_in = [Noted], partitions = 4)]
impl Single {
    async fn on_noted(&self, event: &Noted) -> Result<(), Broken> {
        self.0.handle(std::iter::once(event)).await;
        Ok(())
    }
}

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum Note {
    Noted(Noted),
}

#[derive(Clone)]
pub struct Batches(Noting);

#[event_handler(name = "divided", events = Note, partitions = 4, batch_size = 3)]
impl Batches {
    async fn on_batch(&self, events: &[Envelope<Note>]) -> Result<(), Broken> {
        self.0
            .handle(events.iter().map(|one| {
                let Note::Noted(event) = &one.event;
                event
            }))
            .await;
        Ok(())
    }
}

async fn notes() -> MemoryStore {
    let store = MemoryStore::new();
    for text in 0..TEXTS {
        for book in 0..BOOKS {
            let data = serde_json::json!({ "book": book.to_string(), "text": text.to_string() });
            write(&store, &format!("book-{book}"), "desk.Noted", &[data.to_string()]).await;
        }
    }
    store
}

async fn start<H: EventHandler>(store: &MemoryStore, node: &str, handler: H) -> Desk {
    let config = Config::new().lease_retry(Duration::from_millis(10));
    let builder = Desk::builder(store.clone()).node(node).config(config);
    builder.event_handler(handler).start().await.unwrap()
}

async fn running(desk: &Desk) -> usize {
    let partitions = desk.handler("divided").unwrap().partitions().await.unwrap();
    partitions.iter().filter(|partition| partition.state == HandlerState::Running).count()
}

async fn check<H: EventHandler>(handler: fn(Noting) -> H) {
    let (store, gate, handled) = (notes().await, Gate::default(), Handled::default());
    let noting = |node, gate| Noting { node, gate, handled: Arc::clone(&handled) };
    let first = start(&store, "first", handler(noting("first", Some(gate.clone())))).await;
    for _ in 0..4 {
        gate.entered().await;
    }
    let second = start(&store, "second", handler(noting("second", None))).await;
    // One by one, until two of the partitions have gone over.
    until(async || {
        gate.let_through(1);
        (running(&second).await == 2).then_some(())
    })
    .await;
    assert_eq!(running(&first).await, 2);
    let by_first = handled.lock().unwrap().values().flatten().filter(|(_, node)| *node == "first").count();
    assert!(by_first < BOOKS * TEXTS / 2, "they were left in the middle, at {by_first}");
    gate.open();
    until_caught_up(&second, "divided").await;
    until_caught_up(&first, "divided").await;

    assert!(first.shutdown().await.is_clean());
    assert!(second.shutdown().await.is_clean());

    let handled = handled.lock().unwrap();
    assert_eq!(handled.len(), BOOKS);
    let mut gone_over = 0;
    for (book, handled) in &*handled {
        let texts: Vec<_> = handled.iter().map(|(text, _)| *text).collect();
        assert_eq!(texts, (0..TEXTS).collect::<Vec<_>>(), "of {book}");
        let nodes: Vec<_> = handled.iter().map(|(_, node)| *node).collect();
        // Never back, since the first one wants it no more.
        assert!(nodes.is_sorted(), "of {book}: {nodes:?}");
        gone_over += usize::from(nodes.contains(&"first") && nodes.contains(&"second"));
    }
    assert!(gone_over > 0, "some were begun by one node and ended by the other");
}

/// D7, G6
#[tokio::test]
async fn g_006_a_partition_that_is_left_in_the_middle_is_gone_on_with_at_its_next_event() {
    check(Single).await;
}

/// D7, G6
#[tokio::test]
async fn g_006_a_partition_of_batches_that_is_left_in_the_middle_is_gone_on_with_at_its_next_event() {
    check(Batches).await;
}
