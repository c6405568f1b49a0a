use tracing::Span;
use tracing::field::Empty;

use crate::handler::HandlerRunner;
use crate::publisher::{Message, PublishError};
use crate::telemetry::SPANS;
use crate::telemetry::observed::observed;

/// Publishes messages in a span of its own, which is linked to what their events come from. Gives how many were confirmed.
pub(crate) async fn observe<E>(
    runner: &HandlerRunner,
    messages: &[Message],
    work: impl Future<Output = Result<usize, PublishError<E>>>,
) -> Result<usize, PublishError<E>> {
    observed(span(runner, messages), work, |stopwatch, result| {
        let error_type = result.err();
        metric!(
            histogram.messaging.client.operation.duration = stopwatch.seconds(),
            monotonic_counter.messaging.client.sent.messages = result.map_or(messages.len(), |sent| *sent) as u64,
            messaging.system = "cqrs",
            messaging.operation.name = "publish",
            cqrs.application = &*runner.application,
            cqrs.handler = &*runner.handler,
            error.type = error_type,
        );
    })
    .await
}

fn span(runner: &HandlerRunner, messages: &[Message]) -> Span {
    let span = tracing::debug_span!(
        target: SPANS,
        parent: None,
        "publish",
        otel.name = %format_args!("publish {}", runner.handler),
        otel.kind = "producer",
        otel.status_code = Empty,
        messaging.system = "cqrs",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.batch.message_count = messages.len(),
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.handler,
        cqrs.event_number = messages.first().map(|message| message.position),
        error.type = Empty,
    );
    runner.propagation.link_all(&span, messages.iter().map(|message| &message.metadata));
    span
}
