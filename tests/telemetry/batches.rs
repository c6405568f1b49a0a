//! What is told of batches: the events that were handed over, and not those that wait behind a parked one.

use std::sync::{Arc, Mutex};

use cqrs::ambient::Ambient;
use cqrs::application::Config;
use cqrs::handler::Envelope;
use cqrs::id::CausationId;
use cqrs::prelude::*;
use cqrs::testing::settle;

use crate::domain::{Books, Noted, OnPurpose, events_of, note};
use crate::recorder::{Heard, TestPropagator, heard_of, listen};

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum Notes {
    Noted(Noted),
}

fn check(texts: impl IntoIterator<Item = String>) -> Result<(), OnPurpose> {
    match texts.into_iter().any(|text| text.starts_with("fail")) {
        true => Err(OnPurpose),
        false => Ok(()),
    }
}

/// What a command would be caused by that is dispatched at each batch.
#[derive(Clone, Default)]
pub struct Causes(Arc<Mutex<Vec<CausationId>>>);

impl Causes {
    fn note(&self) {
        self.0.lock().unwrap().extend(Ambient::current().map(|ambient| ambient.causation_id));
    }

    fn last(&self) -> CausationId {
        *self.0.lock().unwrap().last().unwrap()
    }
}

#[derive(Clone, Default)]
pub struct Shelves(Causes);

#[event_handler(name = "shelves", events = Notes, batch_size = 2)]
impl Shelves {
    async fn on_batch(&self, events: &[Envelope<Notes>]) -> Result<(), OnPurpose> {
        self.0.note();
        check(events.iter().map(|Envelope { event: Notes::Noted(event), .. }| event.text.clone()))
    }

    async fn on_error(&self, _failure: &HandlerFailure<OnPurpose>) -> ErrorAction {
        ErrorAction::Park
    }
}

#[derive(Clone, Default)]
pub struct Index(Causes, MemoryRows<String, u64>);

#[projection(name = "index", events = Notes)]
impl Index {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.1
    }

    async fn on_batch(
        &self,
        events: &[Projected<Notes>],
        _rows: &mut RowsMut<String, u64>,
    ) -> Result<(), OnPurpose> {
        self.0.note();
        check(events.iter().map(|Projected { event: Notes::Noted(event), .. }| event.text.clone()))
    }

    async fn on_error(&self, _failure: &ProjectionFailure<OnPurpose>) -> ErrorAction {
        ErrorAction::Park
    }
}

application! {
    pub struct Archive {
        routers: [Books],
    }
}

/// The spans of a handler's batches: how many events they hold, and the position of the first one.
fn batches<'a>(heard: &'a [Heard], handler: &str) -> Vec<(&'a str, &'a str)> {
    let batches = heard.iter().filter(|heard| heard.is_span_of("handle_batch", "cqrs.handler", handler));
    let value = |heard: &'a Heard, field| heard.value(field).unwrap_or_default();
    batches
        .map(|heard| (value(heard, "messaging.batch.message_count"), value(heard, "cqrs.event_number")))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn events_that_wait_behind_a_parked_one_are_not_told_of_as_handled() {
    listen();
    let store = MemoryStore::new();
    let past = Archive::builder(store.clone()).name("archive").propagator(TestPropagator);
    let past = past.start().await.unwrap();
    for (book, what) in [("x", "fail"), ("y", "1"), ("x", "2"), ("y", "3")] {
        past.dispatch(note(book, what)).await.unwrap();
    }
    past.shutdown().await;
    let (shelves, index) = (Shelves::default(), Index::default());
    let archive = Archive::builder(store.clone()).name("archive").propagator(TestPropagator);
    let archive = archive.config(Config::new().tail_page(2));
    let archive = archive.event_handler(shelves.clone()).projection(index.clone()).start().await.unwrap();
    settle(&archive).await;
    archive.shutdown().await;
    let (heard, stored) = (heard_of("archive"), events_of(&store, "books.Noted").await);
    for (handler, causes) in [("shelves", &shelves.0), ("index", &index.0)] {
        assert_eq!(batches(&heard, handler), [("2", "1"), ("1", "4")], "{handler}");
        let of_last = heard.iter().rfind(|heard| heard.is_span_of("handle_batch", "cqrs.handler", handler));
        assert_eq!(of_last.unwrap().links, [stored[3].metadata.trace_context().unwrap()], "{handler}");
        assert_eq!(causes.last(), stored[3].event_id.into(), "{handler}");
    }
}
