use tracing::Span;
use tracing::field::Empty;

use crate::handler::HandlerRunner;
use crate::projection::Trouble;
use crate::store::RecordedEvent;
use crate::telemetry::handler::processed;
use crate::telemetry::observed::observed;
use crate::telemetry::{ErrorType, SPANS};

/// Handles several events at once in a span of its own, which is linked to what each of them comes from.
pub(crate) async fn observe<T, E: ErrorType>(
    runner: &HandlerRunner,
    events: &[&RecordedEvent],
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    observed(span(runner, events), work, |stopwatch, result| {
        processed(runner.named(), stopwatch.seconds(), events.len(), result.err());
    })
    .await
}

fn span(runner: &HandlerRunner, events: &[&RecordedEvent]) -> Span {
    let span = tracing::debug_span!(
        target: SPANS,
        parent: None,
        "handle_batch",
        otel.name = %format_args!("process {}", runner.handler),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "cqrs",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.batch.message_count = events.len(),
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.handler,
        cqrs.event_number = events.first().map(|event| event.position),
        error.type = Empty,
    );
    runner.propagation.link_all(&span, events.iter().map(|event| &event.metadata));
    span
}

impl ErrorType for Trouble {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Event(error_type) => error_type,
            Self::Rows(error) => error.error_type(),
            Self::Fenced => "fenced",
        }
    }
}
