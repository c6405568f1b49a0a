use tracing::Span;
use tracing::field::Empty;

use crate::aggregate::Aggregate;
use crate::ambient::Ambient;
use crate::application::Core;
use crate::dispatch::{DispatchError, Dispatched};
use crate::middleware::{DispatchContext, FailureKind};
use crate::telemetry::observed::fail;
use crate::telemetry::{SPANS, Stopwatch};

/// A dispatch on its way, as it is told.
pub(crate) struct Dispatching<'a> {
    core: &'a Core,
    command: &'static str,
    pub(crate) span: Span,
    stopwatch: Stopwatch,
}

impl<'a> Dispatching<'a> {
    pub(crate) fn begin<A: Aggregate>(
        core: &'a Core,
        command: &'static str,
        ambient: Option<&Ambient>,
    ) -> Self {
        let span = tracing::debug_span!(
            target: SPANS,
            "dispatch",
            otel.name = %format_args!("send {command}"),
            otel.kind = "producer",
            otel.status_code = Empty,
            messaging.system = "cqrs",
            messaging.operation.name = "send",
            messaging.operation.type = "send",
            messaging.message.id = Empty,
            messaging.message.conversation_id = Empty,
            cqrs.application = core.name(),
            cqrs.command = command,
            cqrs.aggregate = A::NAME,
            cqrs.handler = ambient.and_then(|ambient| ambient.handler.as_ref()).map(|handler| &*handler.name),
            cqrs.stream_id = Empty,
            cqrs.stream_version = Empty,
            error.type = Empty,
        );
        Self { core, command, span, stopwatch: Stopwatch::start() }
    }

    /// The command has got its ids.
    pub(crate) fn identified(&self, context: &DispatchContext) {
        if self.span.is_disabled() {
            return;
        }
        self.span.record("messaging.message.id", tracing::field::display(context.command_id));
        let conversation_id = tracing::field::display(context.correlation_id);
        self.span.record("messaging.message.conversation_id", conversation_id);
    }

    pub(crate) fn end<A: Aggregate>(self, outcome: &Result<Dispatched<A>, DispatchError<A::Error>>) {
        let failure = outcome.as_ref().err().map(DispatchError::kind);
        if !self.span.is_disabled() {
            match (outcome, failure) {
                (Ok(dispatched), _) => {
                    self.span.record("cqrs.stream_id", dispatched.stream_id.as_str());
                    self.span.record("cqrs.stream_version", dispatched.version);
                }
                (Err(_), Some(kind)) if !is_refusal(kind) => fail(&self.span, kind.as_str()),
                (Err(_), kind) => drop(self.span.record("error.type", kind.map(FailureKind::as_str))),
            }
        }
        metric!(
            histogram.messaging.client.operation.duration = self.stopwatch.seconds(),
            monotonic_counter.messaging.client.sent.messages = 1_u64,
            messaging.system = "cqrs",
            messaging.operation.name = "send",
            cqrs.application = self.core.name(),
            cqrs.command = self.command,
            error.type = failure.map(FailureKind::as_str),
        );
    }
}

/// Whether it was the command's fault: then the span has not failed, it says no.
fn is_refusal(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Rejected | FailureKind::Invalid | FailureKind::Halted)
}
