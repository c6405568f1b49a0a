//! What events carry where spans have no identity: the trace context that a caller gave.

use cqrs::MemoryStore;
use cqrs::telemetry::{Propagator, TraceContext};
use cqrs::testing::settle;
use tracing::Span;

use crate::domain::{Library, events_of, library, note};

fn given() -> TraceContext {
    let context = TraceContext::new("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
    context.with_tracestate("vendor=1")
}

async fn traces_of(store: &MemoryStore, event_type: &str) -> Vec<Option<TraceContext>> {
    events_of(store, event_type).await.iter().map(|event| event.metadata.trace_context()).collect()
}

async fn dispatched(library: &Library, context: Option<&TraceContext>) {
    let dispatch = library.dispatch(note("b-1", "answer"));
    match context {
        Some(context) => dispatch.trace_context(context).await.unwrap(),
        None => dispatch.await.unwrap(),
    };
    settle(library).await;
}

#[tokio::test(start_paused = true)]
async fn a_given_trace_context_is_stored_and_handed_on() {
    let store = MemoryStore::new();
    let library = library("given", store.clone()).start().await.unwrap();
    dispatched(&library, Some(&given())).await;
    library.shutdown().await;
    assert_eq!(traces_of(&store, "books.Noted").await, [Some(given())]);
    let answers = traces_of(&store, "books.Answered").await;
    assert_eq!(
        answers,
        vec![Some(given()); 3],
        "those of a handler, of a process manager, and of its deadline"
    );
}

#[tokio::test(start_paused = true)]
async fn without_one_nothing_is_stored() {
    let store = MemoryStore::new();
    let library = library("none", store.clone()).start().await.unwrap();
    dispatched(&library, None).await;
    library.shutdown().await;
    assert_eq!(traces_of(&store, "books.Noted").await, [None]);
    assert_eq!(traces_of(&store, "books.Answered").await, vec![None; 3]);
}

#[derive(Debug)]
struct Panicking;

impl Propagator for Panicking {
    fn trace_context(&self, _span: &Span) -> Option<TraceContext> {
        panic!("on purpose")
    }

    fn link(&self, _span: &Span, _to: &TraceContext) {
        panic!("on purpose")
    }
}

#[tokio::test(start_paused = true)]
async fn a_propagator_that_panics_costs_links_only() {
    let store = MemoryStore::new();
    let library = library("panicking", store.clone()).propagator(Panicking).start().await.unwrap();
    dispatched(&library, Some(&given())).await;
    library.shutdown().await;
    assert_eq!(traces_of(&store, "books.Answered").await, vec![Some(given()); 3]);
}
