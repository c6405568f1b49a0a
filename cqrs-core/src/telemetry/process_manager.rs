use tracing::Span;
use tracing::field::Empty;

use crate::event::EventContext;
use crate::handler::HandlerRunner;
use crate::process_manager::{Caller, Occasion, ProcessAction, ProcessError};
use crate::telemetry::SPANS;
use crate::telemetry::handler::{failed_with, processed};
use crate::telemetry::observed::observed;

/// The span of a step, linked to what the step is for: the dispatch that an event comes from, the step that has set a
/// deadline, the dispatch of a command.
pub(crate) fn span(caller: &Caller<'_>, instance: &str, occasion: &Occasion) -> Span {
    let event = occasion.event();
    let span = tracing::debug_span!(
        target: SPANS,
        parent: None,
        "step",
        otel.name = %format_args!("process {}", event.map_or(occasion.kind(), |event| event.event_type())),
        otel.kind = "consumer",
        otel.status_code = Empty,
        messaging.system = "cqrs",
        messaging.operation.name = "process",
        messaging.operation.type = "process",
        messaging.message.id = event.map(|event| tracing::field::display(event.event_id())),
        messaging.message.conversation_id = event.map(|event| tracing::field::display(event.correlation_id())),
        cqrs.application = caller.application,
        cqrs.handler = caller.name,
        cqrs.instance = instance,
        cqrs.occasion = occasion.kind(),
        cqrs.event_type = event.map(EventContext::event_type),
        cqrs.event_number = event.map(EventContext::position),
        error.type = Empty,
    );
    if let Some(metadata) = occasion.metadata() {
        caller.propagation.link(&span, metadata);
    }
    span
}

/// Has an instance do a step.
pub(crate) async fn observe<E>(
    caller: &Caller<'_>,
    span: &Span,
    work: impl Future<Output = Result<(), ProcessError<E>>>,
) -> Result<(), ProcessError<E>> {
    observed(span.clone(), work, |stopwatch, result| {
        processed(caller.named(), stopwatch.seconds(), 1, result.err());
    })
    .await
}

/// Something failed in a process manager, and that becomes of it.
pub(crate) fn failed(caller: &Caller<'_>, action: ProcessAction) {
    failed_with(
        caller.named(),
        match action {
            ProcessAction::Retry | ProcessAction::RetryAfter(_) => "retry",
            ProcessAction::Skip => "skip",
            ProcessAction::DiscardPending => "discard_pending",
            ProcessAction::Compensate => "compensate",
            ProcessAction::Park => "park",
            ProcessAction::Stop => "stop",
        },
    );
}

/// So many commands are written down and not carried out.
pub(crate) fn pending(runner: &HandlerRunner, commands: usize) {
    metric!(
        gauge.cqrs.process_manager.pending = commands as u64,
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.handler,
    );
}
