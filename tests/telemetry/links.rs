//! Which span lies in which, and which is linked to which.

use std::sync::Arc;

use cqrs::MemoryStore;
use cqrs::clock::Clock as _;
use cqrs::schedule::Schedule;
use cqrs::telemetry::TraceContext;
use cqrs::testing::{TestClock, settle};
use tracing::Instrument as _;

use crate::domain::{Library, NoteLater, Porter, SECRET, events_of, library, note};
use crate::gate::Gate;
use crate::recorder::{Heard, TestPropagator, all_heard, heard_of, until_heard};

async fn start(name: &str, store: &MemoryStore) -> Library {
    library(name, store.clone()).propagator(TestPropagator).start().await.unwrap()
}

#[track_caller]
fn one<'a>(heard: &'a [Heard], name: &str, field: &str, value: &str) -> &'a Heard {
    let found: Vec<_> = heard.iter().filter(|heard| heard.is_span_of(name, field, value)).collect();
    assert_eq!(found.len(), 1, "{name} with {field} = {value}: {found:?}");
    found[0]
}

/// The span of the dispatch that wrote to this stream.
#[track_caller]
fn dispatch_to<'a>(heard: &'a [Heard], stream_id: &str) -> &'a Heard {
    one(heard, "dispatch", "cqrs.stream_id", stream_id)
}

#[tokio::test(start_paused = true)]
async fn handlers_have_traces_of_their_own_that_are_linked_to_the_dispatch() {
    let store = MemoryStore::new();
    let library = start("linked", &store).await;
    let request = tracing::info_span!(target: "test", "request", cqrs.application = "linked");
    library.dispatch(note("b-1", "answer")).into_future().instrument(request).await.unwrap();
    settle(&library).await;
    library.shutdown().await;

    let heard = heard_of("linked");
    let request = heard.iter().find(|heard| heard.name == "request").unwrap();
    let dispatch = dispatch_to(&heard, "book-b-1");
    assert_eq!(dispatch.parent, Some(request.place), "a dispatch belongs to its caller");
    let stored = events_of(&store, "books.Noted").await;
    assert_eq!(stored[0].metadata.trace_context(), Some(dispatch.trace_context()));

    for (span, handler) in [("handle", "reader"), ("handle_batch", "catalogue")] {
        let span = one(&heard, span, "cqrs.handler", handler);
        assert_eq!(span.parent, None, "{handler} is at the root");
        assert_eq!(span.links, [dispatch.trace_context()], "{handler} is linked");
    }
    let handle = one(&heard, "handle", "cqrs.handler", "reader");
    assert_eq!(handle.value("messaging.message.id"), Some(&*stored[0].event_id.to_string()));
    assert_eq!(
        dispatch_to(&heard, "book-b-1-read").parent,
        Some(handle.place),
        "what it dispatches lies inside"
    );

    let step = one(&heard, "step", "cqrs.event_type", "books.Noted");
    assert_eq!((step.parent, &*step.links), (None, &[dispatch.trace_context()][..]));
    let sent = dispatch_to(&heard, "book-b-1-filed");
    assert_eq!(sent.links, [step.trace_context()], "what is sent later is linked to the step that wanted it");
    assert_eq!(sent.value("cqrs.handler"), Some("librarian"));
    let deadline = one(&heard, "step", "cqrs.occasion", "deadline");
    assert_eq!(deadline.links, [step.trace_context()], "and so is a deadline");
    assert_eq!(dispatch_to(&heard, "book-b-1-again").links, [deadline.trace_context()]);

    let published: Vec<_> = heard.iter().filter(|heard| heard.name == "publish").collect();
    let links: Vec<_> = published.iter().flat_map(|publish| publish.links.clone()).collect();
    let answered = events_of(&store, "books.Answered").await;
    for event in answered {
        assert!(links.contains(&event.metadata.trace_context().unwrap()), "{event:?}");
    }
}

/// T-400
#[tokio::test(start_paused = true)]
async fn execute_and_append_lie_inside_the_dispatch() {
    let store = MemoryStore::new();
    let library = start("inside", &store).await;
    library.dispatch(note("inside-1", "first")).await.unwrap();
    library.shutdown().await;
    let heard = all_heard();
    let dispatch = dispatch_to(&heard, "book-inside-1");
    let execute = one(&heard, "execute", "cqrs.stream_id", "book-inside-1");
    let append = one(&heard, "append", "cqrs.stream_id", "book-inside-1");
    assert_eq!(execute.parent, Some(dispatch.place));
    assert_eq!(append.parent, Some(execute.place));
    assert_eq!(append.value("otel.name"), Some("append book-{id}"), "names have few values");
    assert_eq!(dispatch.value("otel.name"), Some("send Note"));
}

#[tokio::test(start_paused = true)]
async fn commands_that_are_appended_together_lead_to_one_span() {
    let store = MemoryStore::new();
    let gate = Gate::shut();
    let porter = Porter { gate: gate.clone() };
    let library = library("together", store).command_handler(porter).start().await.unwrap();
    let later = NoteLater { book: "together-1".to_owned(), text: SECRET.to_owned() };
    let noted = tokio::join!(
        library.dispatch(later).into_future(),
        library.dispatch(note("together-1", "second")).into_future(),
        library.dispatch(note("together-1", "third")).into_future(),
        async { gate.open() },
    );
    assert!(noted.0.is_ok() && noted.1.is_ok() && noted.2.is_ok());
    library.shutdown().await;
    let heard = all_heard();
    let of_stream = |heard: &&Heard| heard.value("cqrs.stream_id") == Some("book-together-1");
    let notes: Vec<_> = heard
        .iter()
        .filter(of_stream)
        .filter(|heard| heard.is_span_of("dispatch", "cqrs.command", "Note"))
        .map(|heard| heard.place)
        .collect();
    let append =
        heard.iter().filter(of_stream).find(|heard| heard.is_span_of("append", "cqrs.commands", "2"));
    let append = append.expect("two were appended together");
    assert_eq!((append.parent, &append.follows), (None, &notes));
    assert_eq!(append.value("messaging.batch.message_count"), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn a_dispatch_is_linked_to_the_trace_that_its_caller_names() {
    let store = MemoryStore::new();
    let library = start("named", &store).await;
    let given = TraceContext::new("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
    library.dispatch(note("named-1", "first")).trace_context(&given).await.unwrap();
    library.shutdown().await;
    let heard = heard_of("named");
    let dispatch = dispatch_to(&heard, "book-named-1");
    assert_eq!(dispatch.links, [given]);
    let stored = events_of(&store, "books.Noted").await;
    assert_eq!(stored[0].metadata.trace_context(), Some(dispatch.trace_context()));
}

#[tokio::test(start_paused = true)]
async fn a_scheduled_command_is_linked_to_where_it_was_scheduled() {
    let clock = TestClock::new();
    let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
    let library = library("scheduled", store).clock(clock.clone()).propagator(TestPropagator);
    let library = library.start().await.unwrap();
    let schedule = Schedule::once(&note("scheduled-1", "later"), clock.now());
    let planning = tracing::info_span!(target: "test", "planning", cqrs.application = "scheduled");
    library.schedules().add(schedule).instrument(planning).await.unwrap();
    let stream = "book-scheduled-1";
    let sent = until_heard("scheduled", |heard| heard.is_span_of("dispatch", "cqrs.stream_id", stream)).await;
    let heard = heard_of("scheduled");
    let planning = heard.iter().find(|heard| heard.name == "planning").unwrap();
    assert_eq!((sent.parent, sent.links), (None, vec![planning.trace_context()]));
    library.shutdown().await;
}
