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
    for text in texts {
        assert!(!text.starts_with("explode"), "on purpose");
        if text.starts_with("fail") {
            return Err(OnPurpose);
        }
    }
    Ok(())
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

/// Has these handlers meet what was noted before, two events at a time.
async fn handle_past(
    name: &str,
    store: &MemoryStore,
    notes: &[(&str, &str)],
    (shelves, index): (&Shelves, &Index),
) -> Vec<Heard> {
    listen();
    let builder = || Archive::builder(store.clone()).name(name).propagator(TestPropagator);
    let past = builder().start().await.unwrap();
    for (book, what) in notes {
        past.dispatch(note(book, what)).await.unwrap();
    }
    past.shutdown().await;
    let archive = builder().config(Config::new().tail_page(2)).event_handler(shelves.clone());
    let archive = archive.projection(index.clone()).start().await.unwrap();
    settle(&archive).await;
    archive.shutdown().await;
    heard_of(name)
}

#[tokio::test(start_paused = true)]
async fn events_that_wait_behind_a_parked_one_are_not_told_of_as_handled() {
    let (store, shelves, index) = (MemoryStore::new(), Shelves::default(), Index::default());
    let notes = [("x", "fail"), ("y", "1"), ("x", "2"), ("y", "3")];
    let heard = handle_past("archive", &store, &notes, (&shelves, &index)).await;
    let stored = events_of(&store, "books.Noted").await;
    for (handler, causes) in [("shelves", &shelves.0), ("index", &index.0)] {
        assert_eq!(batches(&heard, handler), [("2", "1"), ("1", "4")], "{handler}");
        let of_last = heard.iter().rfind(|heard| heard.is_span_of("handle_batch", "cqrs.handler", handler));
        assert_eq!(of_last.unwrap().links, [stored[3].metadata.trace_context().unwrap()], "{handler}");
        assert_eq!(causes.last(), stored[3].event_id.into(), "{handler}");
    }
}

async fn check_batch_that_fails(what: &str, error_type: &str) {
    let (name, handlers) = (format!("batches that {what}"), (&Shelves::default(), &Index::default()));
    let notes = [("x", "1"), ("y", "2"), ("z", what), ("u", "3")];
    let heard = handle_past(&name, &MemoryStore::new(), &notes, handlers).await;
    let failed = (Some(error_type), Some("ERROR"));
    for handler in ["shelves", "index"] {
        let spans = heard.iter().filter(|heard| heard.is_span_of("handle_batch", "cqrs.handler", handler));
        let of_two = spans.filter(|span| span.value("messaging.batch.message_count") == Some("2"));
        let ends: Vec<_> =
            of_two.map(|span| (span.value("error.type"), span.value("otel.status_code"))).collect();
        assert_eq!(ends, [(None, None), failed], "{handler}");
        let consumed = "monotonic_counter.messaging.client.consumed.messages";
        let metrics = heard.iter().filter(|heard| heard.value("cqrs.handler") == Some(handler));
        let of_two = metrics.filter(|metric| metric.value(consumed) == Some("2"));
        let ends: Vec<_> = of_two.map(|metric| metric.value("error.type")).collect();
        assert_eq!(ends, [None, Some(error_type)], "{handler}");
    }
}

/// T-312
#[tokio::test(start_paused = true)]
async fn t_312_a_batch_tells_how_many_events_there_are_and_why_it_failed() {
    check_batch_that_fails("fail", "failed").await;
    check_batch_that_fails("explode", "panicked").await;
}

/// T-309: how full batches are and how long they take, each told once; one that was not full had waited long enough.
#[tokio::test(start_paused = true)]
async fn t_309_sizes_and_durations_of_batches_can_be_counted() {
    let notes = [("x", "1"), ("y", "2"), ("z", "3"), ("x", "4"), ("y", "5")];
    let handlers = (&Shelves::default(), &Index::default());
    let heard = handle_past("counted batches", &MemoryStore::new(), &notes, handlers).await;
    assert_eq!(batches(&heard, "shelves"), [("2", "1"), ("2", "3"), ("1", "5")]);
    let duration = "histogram.messaging.process.duration";
    let of_handler = heard.iter().filter(|heard| heard.value("cqrs.handler") == Some("shelves"));
    assert_eq!(of_handler.filter_map(|heard| heard.value(duration)).count(), 3);
}
