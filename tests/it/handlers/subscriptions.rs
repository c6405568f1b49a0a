//! Handlers that are subscribed to the streams of a category, or to one.

use std::sync::Arc;

use cqrs::MemoryStore;
use cqrs::dispatch::Consistency;
use cqrs::handler::SubscribeTo;
use cqrs::prelude::*;
use cqrs::publisher::{Confirmed, Message};
use cqrs::store::{Deletion, EventFilter, EventStore as _, ExpectedVersion, Link};
use cqrs::subscription::Follow;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::domain::*;
use crate::support::gate::Gate;
use crate::support::log::stream;

macro_rules! subscribed {
    ($handler:ident, $($options:tt)*) => {
        struct $handler(Script);

        #[event_handler(interested_in = [Noted], $($options)*)]
        impl $handler {
            async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
                self.0.run(event.clone(), context.clone()).await
            }
        }
    };
}

subscribed!(OfOneBook, name = "of-one-book", stream = "book-a", consistency = strong);
subscribed!(OfLaterNotes, name = "of-later-notes", stream = "book-a", start_from = current);
subscribed!(BehindTwo, name = "behind-two", stream = "book-a", start_from = position(2));
subscribed!(OfBooks, name = "of-books", category = "book", consistency = strong);
subscribed!(OfOrders, name = "of-orders", category = "order", consistency = strong);
subscribed!(OfReport, name = "of-report", stream = "book-report", consistency = strong);

async fn desk(store: &MemoryStore, handler: impl EventHandler) -> Desk {
    Desk::builder(store.clone()).event_handler(handler).start().await.unwrap()
}

/// Waits until the handler has come to the end of the log, and tells the texts that it was given.
async fn texts(desk: &Desk, handler: &str, inbox: &mut Inbox) -> Vec<String> {
    until_caught_up(desk, handler).await;
    inbox.rest()
}

#[test]
fn a_handler_is_subscribed_to_all_streams_unless_it_says_otherwise() {
    assert_eq!(Eager::SUBSCRIBE_TO, SubscribeTo::All);
    assert_eq!(OfOneBook::SUBSCRIBE_TO, SubscribeTo::Stream("book-a"));
    assert_eq!(OfBooks::SUBSCRIBE_TO, SubscribeTo::Category("book"));
}

// T-225, M-7: what is there, then what comes; nothing of others.
#[tokio::test]
async fn t_231_a_handler_of_one_stream_gets_its_events_then_and_now() {
    let store = MemoryStore::new();
    for name in ["book-a", "book-b", "book-a-1", "book", "book-a"] {
        write(&store, name, "desk.Noted", &[stored_note(format!("of {name}"))]).await;
    }
    let (script, mut inbox) = Script::telling();
    let desk = desk(&store, OfOneBook(script)).await;
    assert_eq!(texts(&desk, "of-one-book", &mut inbox).await, ["of book-a", "of book-a"]);
    for (book, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        desk.dispatch(note(book, text)).consistency(Strong).await.unwrap();
    }
    assert_eq!(texts(&desk, "of-one-book", &mut inbox).await, ["1", "3"]);
    desk.shutdown().await;
}

// T-231, PG-76
#[tokio::test]
async fn t_231_a_handler_of_one_stream_begins_at_the_present_or_behind_a_position_of_the_log() {
    let store = MemoryStore::new();
    for (name, text) in [("book-a", "1"), ("book-b", "2"), ("book-b", "3"), ("book-a", "4")] {
        write(&store, name, "desk.Noted", &[stored_note(text)]).await;
    }
    let (later, mut of_later) = Script::telling();
    let (behind, mut of_behind) = Script::telling();
    let desk = Desk::builder(store.clone())
        .event_handler(OfLaterNotes(later))
        .event_handler(BehindTwo(behind))
        .start()
        .await
        .unwrap();
    for (book, text) in [("b", "5"), ("a", "6")] {
        desk.dispatch(note(book, text)).await.unwrap();
    }
    assert_eq!(texts(&desk, "of-later-notes", &mut of_later).await, ["6"]);
    assert_eq!(texts(&desk, "behind-two", &mut of_behind).await, ["4", "6"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn pg_051_a_handler_of_a_category_gets_the_events_of_all_its_streams() {
    let store = MemoryStore::new();
    for name in ["book-a", "books-a", "order-1", "book", "bookcase-book-1", "book-b-1"] {
        write(&store, name, "desk.Noted", &[stored_note(name)]).await;
    }
    let (script, mut inbox) = Script::telling();
    let desk = desk(&store, OfBooks(script)).await;
    assert_eq!(texts(&desk, "of-books", &mut inbox).await, ["book-a", "book", "book-b-1"]);
    desk.dispatch(note("c", "new")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["new"]);
    desk.shutdown().await;
}

// L-013, T-108: also while the handler is busy with an event of its own stream, far behind.
#[tokio::test]
async fn t_108_a_strong_dispatch_to_another_stream_does_not_wait() {
    let gate = Gate::shut();
    let held = gate.clone();
    let busy = Script::new(move |_, _| {
        let gate = held.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    });
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone())
        .event_handler(OfOneBook(busy.clone()))
        .event_handler(OfOrders(busy))
        .start()
        .await
        .unwrap();
    desk.dispatch(note("a", "own")).await.unwrap();
    write(&store, "order-1", "desk.Noted", &[stored_note("own")]).await;
    soon(async {
        gate.arrival().await;
        gate.arrival().await;
        desk.dispatch(note("b", "other")).consistency(Strong).await.unwrap();
        let named = Consistency::Handlers(vec!["of-one-book".into(), "of-orders".into()]);
        desk.dispatch(note("b", "named")).consistency(named).await.unwrap();
    })
    .await;
    let short = std::time::Duration::from_millis(20);
    let waiting = desk.dispatch(note("a", "own")).consistency(Strong).consistency_timeout(short);
    let Err(DispatchError::NotHandled { pending, .. }) = waiting.await else {
        panic!("it did not wait for the handler of its stream");
    };
    assert_eq!(pending.iter().map(|one| one.handler.as_str()).collect::<Vec<_>>(), ["of-one-book"]);
    gate.open();
    desk.shutdown().await;
}

// C-39
#[tokio::test]
async fn c_039_events_of_other_streams_move_a_handler_on() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let running = desk(&store, OfOneBook(script.clone())).await;
    for number in 0..50 {
        running.dispatch(note("b", number.to_string())).await.unwrap();
    }
    assert_eq!(until_caught_up(&running, "of-one-book").await.position, 50);
    running.shutdown().await;
    let again = desk(&store, OfOneBook(script)).await;
    assert_eq!(until_caught_up(&again, "of-one-book").await.position, 50);
    again.dispatch(note("a", "own")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["own"]);
    again.shutdown().await;
}

/// An event comes once, to who is subscribed to the stream that it was written to.
#[tokio::test]
async fn links_bring_no_events_to_a_handler_of_the_stream() {
    let store = MemoryStore::new();
    write(&store, "book-a", "desk.Noted", &[stored_note("linked")]).await;
    let positions = vec![1];
    let link = Link { stream_id: stream("book-report"), expected: ExpectedVersion::Any, positions };
    store.link(link).await.unwrap();
    let (of_origin, mut origin) = Script::telling();
    let (of_report, mut report) = Script::telling();
    let desk = Desk::builder(store.clone())
        .event_handler(OfOneBook(of_origin))
        .event_handler(OfReport(of_report))
        .start()
        .await
        .unwrap();
    desk.dispatch(note("report", "own")).consistency(Strong).await.unwrap();
    assert_eq!(texts(&desk, "of-one-book", &mut origin).await, ["linked"]);
    assert_eq!(texts(&desk, "of-report", &mut report).await, ["own"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn pg_065_pg_093_a_deleted_stream_is_handled_softly_and_passed_over_when_it_is_gone() {
    let store = MemoryStore::builder().allow_hard_deletion().build();
    for (name, text) in [("book-a", "1"), ("book-b", "2"), ("book-a", "3")] {
        write(&store, name, "desk.Noted", &[stored_note(text)]).await;
    }
    store.delete_stream(&stream("book-a"), ExpectedVersion::Any, Deletion::Soft).await.unwrap();
    store.delete_stream(&stream("book-b"), ExpectedVersion::Any, Deletion::Hard).await.unwrap();
    let (of_one, mut one) = Script::telling();
    let (of_all, mut all) = Script::telling();
    let desk = Desk::builder(store.clone())
        .event_handler(OfOneBook(of_one))
        .event_handler(OfBooks(of_all))
        .start()
        .await
        .unwrap();
    assert_eq!(texts(&desk, "of-one-book", &mut one).await, ["1", "3"]);
    assert_eq!(texts(&desk, "of-books", &mut all).await, ["1", "3"]);
    desk.shutdown().await;
}

/// Stamps the book of each note.
#[derive(Default, Clone, Serialize, Deserialize)]
struct Stamping;

#[process_manager(name = "stamping", interested_in = [Noted], stream = "book-a", consistency = strong)]
impl Stamping {
    #[on(start_or_continue, by = book)]
    fn on_noted(&mut self, event: &Noted, process: &mut Process) {
        process.send(Stamp { book: event.book.clone() });
    }
}

application! {
    struct StampingDesk {
        routers: [DeskRouter],
        process_managers: [Stamping],
    }
}

#[tokio::test]
async fn a_process_manager_is_subscribed_to_one_stream() {
    let store = MemoryStore::new();
    let desk = StampingDesk::builder(store.clone()).start().await.unwrap();
    for book in ["a", "b", "a"] {
        soon(async { desk.dispatch(note(book, "text")).consistency(Strong).await }).await.unwrap();
    }
    let log = log(&store).await;
    let stamped = log.iter().filter(|event| event.event_type == "desk.Stamped");
    assert_eq!(stamped.map(|event| event.stream_id.as_str()).collect::<Vec<_>>(), ["book-a", "book-a"]);
    desk.shutdown().await;
}

/// The notes of the books, of which some have another category.
#[derive(Default)]
struct Contents(MemoryRows<(), Vec<String>>);

#[projection(name = "contents", interested_in = [Noted], category = "book", consistency = strong)]
impl Contents {
    fn rows(&self) -> &MemoryRows<(), Vec<String>> {
        &self.0
    }

    async fn on_noted(&self, event: &Noted, rows: &mut RowsMut<(), Vec<String>>) {
        rows.row(()).push(event.text.clone());
    }
}

#[tokio::test]
async fn a_projection_is_subscribed_to_a_category() {
    let store = MemoryStore::new();
    for name in ["order-1", "book-a", "books-a"] {
        write(&store, name, "desk.Noted", &[stored_note(name)]).await;
    }
    let contents = Contents::default();
    let rows = contents.0.clone();
    let desk = Desk::builder(store.clone()).projection(contents).start().await.unwrap();
    soon(async { desk.dispatch(note("b", "new")).consistency(Strong).await }).await.unwrap();
    assert_eq!(rows.get(&()).unwrap(), ["book-a", "new"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_scenario_of_a_projection_keeps_to_its_category() {
    let contents = Contents::default();
    let noted = |text: &str| Noted { book: "a".into(), text: text.into() };
    let log = cqrs::testing::given_log().events("book-a", [noted("own")]).events("order-1", [noted("other")]);
    log.project(&contents).await;
    assert_eq!(contents.0.get(&()).unwrap(), ["own"]);
}

/// Prints the notes of orders.
struct Printer(mpsc::Sender<Message>);

impl Publisher for Printer {
    const NAME: &'static str = "printer";
    const SUBSCRIBE_TO: SubscribeTo = SubscribeTo::Category("order");
    type Event = Noted;
    type Error = std::io::Error;

    async fn publish(&self, messages: &[Message]) -> Result<Confirmed, std::io::Error> {
        messages.iter().for_each(|message| self.0.try_send(message.clone()).unwrap());
        Ok(Confirmed::All)
    }
}

#[tokio::test]
async fn a_publisher_is_subscribed_to_a_category() {
    let store = MemoryStore::new();
    for name in ["book-a", "order-1", "orders-1", "order-2"] {
        write(&store, name, "desk.Noted", &[stored_note(name)]).await;
    }
    let (printed, mut messages) = mpsc::channel(10);
    let desk = Desk::builder(store.clone()).publisher(Printer(printed)).start().await.unwrap();
    until_caught_up(&desk, "printer").await;
    let mut streams = Vec::new();
    while let Ok(message) = messages.try_recv() {
        streams.push(message.stream_id.as_str().to_owned());
    }
    assert_eq!(streams, ["order-1", "order-2"]);
    desk.shutdown().await;
}

/// What belongs together is followed by its correlation, in all streams or in some.
#[tokio::test]
async fn pg_052_a_correlation_is_followed() {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).start().await.unwrap();
    let first = desk.dispatch(note("a", "1")).await.unwrap();
    let together = log(&store).await[0].correlation_id;
    desk.dispatch(note("b", "2")).await.unwrap();
    let filter = EventFilter::all().correlation(together);
    let mut all = Follow::new(Arc::clone(desk.store()), 0, filter.clone());
    let mut of_one = Follow::new(Arc::clone(desk.store()), 0, filter.stream(first.stream_id().clone()));
    for (book, position) in [("b", 3), ("a", 4)] {
        desk.dispatch(note(book, "more")).correlation_id(together).await.unwrap();
        assert_eq!(log(&store).await.len(), position);
    }
    for expected in [1, 3, 4] {
        assert_eq!(soon(all.next()).await.unwrap().position, expected);
    }
    for expected in [1, 4] {
        assert_eq!(soon(of_one.next()).await.unwrap().position, expected);
    }
    assert_eq!(all.try_next().await.unwrap(), None);
    desk.shutdown().await;
}
