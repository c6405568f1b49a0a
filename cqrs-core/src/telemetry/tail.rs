use tracing::field::Empty;

use crate::store::{LogPage, StoreError};
use crate::telemetry::SPANS;
use crate::telemetry::observed::observed;

/// Reads a page of the log for all handlers of an application.
pub(crate) async fn observe(
    application: &str,
    read: impl Future<Output = Result<LogPage, StoreError>>,
) -> Result<LogPage, StoreError> {
    // An idle application looks again and again.
    let span = tracing::trace_span!(
        target: SPANS,
        parent: None,
        "receive",
        otel.name = "receive",
        otel.kind = "client",
        otel.status_code = Empty,
        messaging.system = "cqrs",
        messaging.operation.name = "receive",
        messaging.operation.type = "receive",
        messaging.batch.message_count = Empty,
        cqrs.application = application,
        error.type = Empty,
    );
    observed(span.clone(), read, |stopwatch, result| {
        let events = result.map_or(0, |page| page.events.len());
        span.record("messaging.batch.message_count", events);
        metric!(
            histogram.cqrs.tail.read.duration = stopwatch.seconds(),
            monotonic_counter.cqrs.tail.events = events as u64,
            cqrs.application = application,
            error.type = result.err(),
        );
    })
    .await
}
