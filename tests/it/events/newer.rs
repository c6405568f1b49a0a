//! A rolling deployment in which the new program writes an event in a new version: nodes with the old program cannot read
//! it. They say so, leave it with what belongs to it, and lose nothing; the new program goes on, beside them and after them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::event::DecodeError;
use cqrs::handler::{HandlerError, HandlerState, RetryPolicy};
use cqrs::prelude::*;
use cqrs::process_manager::ProcessError;
use serde_json::json;

use crate::handlers::domain::{DeskRouter, Note, soon, until};
use crate::projections::domain::{Books, Broken, Gate, book, texts};
use crate::support::log::{events_of, raw, write};

/// As the old program knows it.
mod old {
    use cqrs::event::{Event, EventSchema};
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    pub struct Counted {
        pub book: String,
        pub text: String,
    }

    impl Event for Counted {
        const SCHEMA: &'static EventSchema = &EventSchema::new("ledger.Counted", 1).at(file!(), line!());
    }
    cqrs::event::event_set_of_one!(Counted);
}

/// As the new one knows it.
mod new {
    use cqrs::event::{Event, EventSchema, Upcast, UpcastError, Upcaster};
    use serde::{Deserialize, Serialize};
    use serde_json::Value;

    #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
    pub struct Counted {
        pub book: String,
        pub text: String,
        pub pages: u32,
    }

    impl Event for Counted {
        const SCHEMA: &'static EventSchema = &EventSchema::new("ledger.Counted", 2)
            .upcasters(&[Upcaster::new(1, add_pages)])
            .at(file!(), line!());
    }
    cqrs::event::event_set_of_one!(Counted);

    fn add_pages(mut payload: Value) -> Result<Upcast, UpcastError> {
        payload["pages"] = 0.into();
        Ok(Upcast::Next(payload))
    }
}

/// What was handled, by whom, and what was refused as too new.
#[derive(Clone, Default)]
pub struct Journal {
    handled: Arc<Mutex<Vec<(&'static str, String)>>>,
    too_new: Arc<Mutex<Vec<u64>>>,
}

impl Journal {
    fn handle(&self, node: &'static str, text: &str) {
        self.handled.lock().unwrap().push((node, text.to_owned()));
    }

    fn of(&self, node: &str) -> Vec<String> {
        let handled = self.handled.lock().unwrap();
        handled.iter().filter(|(by, _)| *by == node).map(|(_, text)| text.clone()).collect()
    }

    fn refuse(&self, error: &DecodeError) {
        let DecodeError::NewerVersion { position, name, version: 2, known: 1 } = error else {
            panic!("{error:?}");
        };
        assert_eq!(name, "ledger.Counted");
        self.too_new.lock().unwrap().push(*position);
    }
}

#[derive(Clone)]
struct OldReader(Journal);

#[event_handler(name = "reader", interested_in = [old::Counted])]
impl OldReader {
    fn on_counted(&self, event: &old::Counted) -> Result<(), Broken> {
        self.0.handle("old", &event.text);
        Ok(())
    }

    fn on_error(&self, failure: &HandlerFailure<Broken>) -> ErrorAction {
        let HandlerError::Undecodable(error) = &failure.error else { panic!("{failure:?}") };
        self.0.refuse(error);
        RetryPolicy::default().decide(failure)
    }
}

#[derive(Clone)]
struct NewReader(Journal);

#[event_handler(name = "reader", interested_in = [new::Counted])]
impl NewReader {
    fn on_counted(&self, event: &new::Counted) -> Result<(), Broken> {
        self.0.handle("new", &event.text);
        Ok(())
    }
}

struct OldShelf {
    rows: Books,
    journal: Journal,
}

#[projection(name = "shelf", interested_in = [old::Counted])]
impl OldShelf {
    fn rows(&self) -> &Books {
        &self.rows
    }

    fn on_counted(
        &self,
        event: &old::Counted,
        rows: &mut RowsMut<String, Vec<String>>,
    ) -> Result<(), Broken> {
        rows.row(event.book.clone()).push(event.text.clone());
        Ok(())
    }

    fn on_error(&self, failure: &ProjectionFailure<Broken>) -> ErrorAction {
        let HandlerError::Undecodable(error) = &failure.error else { panic!("{failure:?}") };
        self.journal.refuse(error);
        RetryPolicy::default().decide(failure)
    }
}

/// Waits at a gate before its first event.
struct NewShelf {
    rows: Books,
    gate: Gate,
}

#[projection(name = "shelf", interested_in = [new::Counted], version = 2)]
impl NewShelf {
    fn rows(&self) -> &Books {
        &self.rows
    }

    async fn on_counted(
        &self,
        event: &new::Counted,
        rows: &mut RowsMut<String, Vec<String>>,
    ) -> Result<(), Broken> {
        self.gate.pass().await;
        rows.row(event.book.clone()).push(format!("{} of {} pages", event.text, event.pages));
        Ok(())
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize, Clone)]
struct OldClerk {
    seen: Vec<String>,
}

#[process_manager(name = "clerk", interested_in = [old::Counted], by = book)]
impl OldClerk {
    #[on(start_or_continue)]
    fn on_counted(&mut self, event: &old::Counted, process: &mut Process) {
        self.seen.push(event.text.clone());
        process.send(Note { book: format!("by-{}", event.book), text: event.text.clone() });
    }

    fn on_error(
        &mut self,
        failure: &ProcessFailure<std::convert::Infallible>,
        _process: &mut Process,
    ) -> ProcessAction {
        let ProcessError::Undecodable(error) = &failure.error else { panic!("{failure:?}") };
        assert!(matches!(error, DecodeError::NewerVersion { version: 2, known: 1, .. }), "{error:?}");
        RetryPolicy::default().decide(failure).into()
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize, Clone)]
struct NewClerk {
    seen: Vec<String>,
}

#[process_manager(name = "clerk", interested_in = [new::Counted], by = book)]
impl NewClerk {
    #[on(start_or_continue)]
    fn on_counted(&mut self, event: &new::Counted, process: &mut Process) {
        self.seen.push(event.text.clone());
        process.send(Note { book: format!("by-{}", event.book), text: event.text.clone() });
    }
}

application! {
    struct OldLibrary {
        routers: [DeskRouter],
        process_managers: [OldClerk],
    }
}

application! {
    struct NewLibrary {
        name: "OldLibrary",
        routers: [DeskRouter],
        process_managers: [NewClerk],
    }
}

/// As the old program writes it.
async fn write_old(store: &MemoryStore, book: &str, text: &str) {
    let counted = raw("ledger.Counted", 1, &json!({ "book": book, "text": text }));
    write(store, &format!("ledger-{book}"), vec![counted]).await;
}

/// As the new one does.
async fn write_new(store: &MemoryStore, book: &str, text: &str) {
    let counted = raw("ledger.Counted", 2, &json!({ "book": book, "text": text, "pages": 7 }));
    write(store, &format!("ledger-{book}"), vec![counted]).await;
}

async fn notes_of(store: &MemoryStore, book: &str) -> Vec<String> {
    let events = events_of(store, &format!("book-by-{book}")).await;
    let text = |data: &[u8]| serde_json::from_slice::<serde_json::Value>(data).unwrap()["text"].clone();
    events.iter().map(|event| text(&event.data).as_str().unwrap().to_owned()).collect()
}

/// Fault 23
#[tokio::test]
async fn t_416_an_old_node_leaves_events_of_a_newer_version_to_the_new_one() {
    let (store, rows, journal) = (MemoryStore::new(), Books::new(), Journal::default());
    let config = Config::new().lease_retry(Duration::from_millis(10));
    let shelf = OldShelf { rows: rows.clone(), journal: journal.clone() };
    let old = OldLibrary::builder(store.clone()).node("old").config(config.clone());
    let old = old.event_handler(OldReader(journal.clone())).projection(shelf).start().await.unwrap();
    write_old(&store, "a", "1").await;
    until(async || (notes_of(&store, "a").await == ["1"]).then_some(())).await;

    let gate = Gate::shut();
    let shelf = NewShelf { rows: rows.clone(), gate: gate.clone() };
    let new = NewLibrary::builder(store.clone()).node("new").config(config);
    let new = new.event_handler(NewReader(journal.clone())).projection(shelf).start().await.unwrap();
    soon(gate.arrival()).await;

    // The new version of the projection is being built, and the old node owns everything.
    write_new(&store, "a", "2").await;
    write_old(&store, "b", "3").await;
    write_old(&store, "a", "4").await;
    until(async || (notes_of(&store, "b").await == ["3"]).then_some(())).await;
    for name in ["reader", "shelf", "clerk"] {
        let handler = old.handler(name).unwrap();
        let parked = until(async || handler.parked(None, 10).await.unwrap().pop()).await;
        assert_eq!((parked.key.as_str(), parked.position), ("ledger-a", 3), "{name}");
        assert!(parked.error.contains("version 2"), "{}", parked.error);
    }
    until(async || (book(&rows, "b") == texts(&["3"])).then_some(())).await;
    assert_eq!(book(&rows, "a"), texts(&["1"]), "what stands behind it waits");
    assert_eq!(notes_of(&store, "a").await, ["1"]);
    assert_eq!(journal.of("old"), ["1", "3"]);

    // The new rows know all of it, also beside the old node.
    gate.open();
    let all = texts(&["1 of 0 pages", "2 of 7 pages", "4 of 0 pages"]);
    until(async || (book(&rows, "a") == all).then_some(())).await;
    assert_eq!(book(&rows, "b"), texts(&["3 of 0 pages"]));
    assert_eq!(journal.of("new"), [""; 0], "the old node owns the handler still");

    // The old node is replaced: what it has left is handled, in order, and nothing twice.
    assert!(old.shutdown().await.is_clean());
    for name in ["reader", "clerk"] {
        let handler = new.handler(name).unwrap();
        until(async || (handler.status().await.unwrap().state == HandlerState::Running).then_some(())).await;
        handler.retry_parked("ledger-a").await.unwrap();
        until(async || handler.parked(None, 10).await.unwrap().is_empty().then_some(())).await;
    }
    write_new(&store, "a", "5").await;
    until(async || (notes_of(&store, "a").await == ["1", "2", "4", "5"]).then_some(())).await;
    until(async || (journal.of("new") == ["2", "4", "5"]).then_some(())).await;
    until(async || (book(&rows, "a").len() == 4).then_some(())).await;
    assert_eq!(book(&rows, "a")[3], "5 of 7 pages");
    assert_eq!(journal.of("old"), ["1", "3"]);
    assert_eq!(notes_of(&store, "b").await, ["3"]);
    let clerk = new.process_manager("clerk").unwrap().instance("a").await.unwrap().unwrap();
    assert_eq!(clerk.state["seen"], json!(["1", "2", "4", "5"]));
    assert_eq!(*journal.too_new.lock().unwrap(), [3, 3], "the handler and the projection, once each");
    new.shutdown().await;
}
