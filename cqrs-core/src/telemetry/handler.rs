use tracing::Span;
use tracing::field::Empty;

use crate::handler::reaction::Attempt;
use crate::handler::{ErrorAction, HandlerRunner};
use crate::store::RecordedEvent;
use crate::telemetry::observed::observed;
use crate::telemetry::{ErrorType, SPANS};

/// Handles an event in a span of its own. It is linked to the dispatch that the event comes from, whose child it is not:
/// that may have ended long ago, on another node.
pub(crate) async fn observe<E: ErrorType>(
    runner: &HandlerRunner,
    event: &RecordedEvent,
    attempt: Attempt,
    work: impl Future<Output = Result<(), E>>,
) -> Result<(), E> {
    observed(span(runner, event, attempt), work, |stopwatch, result| {
        processed(runner.named(), stopwatch.seconds(), 1, result.err());
    })
    .await
}

fn span(runner: &HandlerRunner, event: &RecordedEvent, attempt: Attempt) -> Span {
    let span = tracing::debug_span!(
        target: SPANS,
        parent: None,
        "handle",
        otel.name = %format_args!("process {}", event.event_type),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "cqrs",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.message.id = %event.event_id,
        messaging.message.conversation_id = %event.correlation_id,
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.handler,
        cqrs.partition = (runner.partition.count > 1).then_some(runner.partition.index),
        cqrs.event_type = &*event.event_type,
        cqrs.event_number = event.position,
        cqrs.stream_id = %event.stream_id,
        cqrs.attempt = attempt.number,
        error.type = Empty,
    );
    runner.propagation.link(&span, &event.metadata);
    span
}

/// Whom a metric is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) application: &'a str,
    pub(crate) handler: &'a str,
}

impl HandlerRunner {
    pub(crate) fn named(&self) -> Named<'_> {
        Named { application: &self.application, handler: &self.handler }
    }
}

/// So many events were handed to user code at once, and came to that.
pub(super) fn processed(
    named: Named<'_>,
    seconds: Option<f64>,
    events: usize,
    error_type: Option<&'static str>,
) {
    metric!(
        histogram.messaging.process.duration = seconds,
        monotonic_counter.messaging.client.consumed.messages = events as u64,
        messaging.system = "cqrs",
        messaging.operation.name = "process",
        cqrs.application = named.application,
        cqrs.handler = named.handler,
        error.type = error_type,
    );
}

/// Something failed in a handler, and that becomes of it.
pub(crate) fn failed(runner: &HandlerRunner, action: ErrorAction) {
    failed_with(
        runner.named(),
        match action {
            ErrorAction::Retry | ErrorAction::RetryAfter(_) => "retry",
            ErrorAction::Skip => "skip",
            ErrorAction::Park => "park",
            ErrorAction::Stop => "stop",
        },
    );
}

pub(super) fn failed_with(named: Named<'_>, action: &'static str) {
    metric!(
        monotonic_counter.cqrs.handler.failures = 1_u64,
        cqrs.application = named.application,
        cqrs.handler = named.handler,
        cqrs.action = action,
    );
}
