//! What spans and metrics say of failures.

use cqrs::MemoryStore;
use cqrs::telemetry::METRICS;
use cqrs::testing::settle;

use crate::domain::{library, note};
use crate::recorder::{Heard, all_heard, heard_of, until_heard};

fn dispatches(heard: &[Heard]) -> Vec<(Option<&str>, Option<&str>)> {
    let dispatches = heard.iter().filter(|heard| heard.is_span && heard.name == "dispatch");
    dispatches.map(|span| (span.value("error.type"), span.value("otel.status_code"))).collect()
}

/// T-401
#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_failure_of_the_span_and_a_panic_is() {
    let library = library("refusals", MemoryStore::new()).start().await.unwrap();
    for what in ["well", "refuse", "panic"] {
        let _ = library.dispatch(note("refusals", what)).await;
    }
    library.shutdown().await;
    let heard = heard_of("refusals");
    let expected = [(None, None), (Some("rejected"), None), (Some("panicked"), Some("ERROR"))];
    assert_eq!(dispatches(&heard), expected);
    let sent =
        heard.iter().filter(|heard| heard.value("cqrs.command") == Some("Note") && heard.target == METRICS);
    let told: Vec<_> = sent.map(|metric| metric.value("error.type")).collect();
    assert_eq!(told, [None, Some("rejected"), Some("panicked")]);

    let heard = all_heard();
    let of_stream = |heard: &&Heard| heard.is_span_of("execute", "cqrs.stream_id", "book-refusals");
    let executed: Vec<_> = heard
        .iter()
        .filter(of_stream)
        .map(|span| ["cqrs.aggregate", "cqrs.command", "error.type"].map(|field| span.value(field)))
        .collect();
    let execute = |error_type| [Some("Book"), Some("Note"), error_type];
    assert_eq!(executed, [None, Some("rejected"), Some("panicked")].map(execute));
}

/// T-402
#[tokio::test(start_paused = true)]
async fn a_state_that_is_read_tells_of_how_many_events() {
    let store = MemoryStore::new();
    for _ in 0..3 {
        let library = library("loading", store.clone()).start().await.unwrap();
        library.dispatch(note("b-1", "well")).await.unwrap();
        library.dispatch(note("b-1", "in memory by now")).await.unwrap();
        library.shutdown().await;
    }
    let heard = heard_of("loading");
    let loads: Vec<_> = heard
        .iter()
        .filter(|heard| heard.value("histogram.cqrs.aggregate.load.duration").is_some())
        .map(|load| {
            ["cqrs.aggregate", "histogram.cqrs.aggregate.load.events"].map(|field| load.value(field).unwrap())
        })
        .collect();
    assert_eq!(loads, [["Book", "0"], ["Book", "2"], ["Book", "4"]]);
}

/// T-405
#[tokio::test(start_paused = true)]
async fn each_attempt_of_a_handler_that_fails_says_so() {
    let library = library("failures", MemoryStore::new()).start().await.unwrap();
    library.dispatch(note("b-1", "fail")).await.unwrap();
    settle(&library).await;
    let handled = until_heard("failures", |heard| heard.is_span_of("handle", "cqrs.handler", "reader")).await;
    assert_eq!(handled.value("error.type"), Some("failed"));
    assert_eq!(handled.value("otel.status_code"), Some("ERROR"));
    let heard = heard_of("failures");
    let mut actions: Vec<_> = heard
        .iter()
        .filter(|heard| heard.fields.contains(&"monotonic_counter.cqrs.handler.failures"))
        .map(|heard| (heard.value("cqrs.handler").unwrap(), heard.value("cqrs.action").unwrap()))
        .collect();
    actions.sort_unstable();
    assert_eq!(actions, [("catalogue", "skip"), ("librarian", "skip"), ("reader", "park")]);
    library.shutdown().await;
}
