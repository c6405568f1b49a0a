use tracing::Span;

use crate::handler::HandlerRunner;
use crate::process_manager::Timer;
use crate::telemetry::SPANS;

/// The span in which what is due is read and done: deadlines, scheduled commands, idle instances. Each step that comes of
/// it has a span of its own.
pub(crate) fn span(runner: &HandlerRunner) -> Span {
    tracing::debug_span!(
        target: SPANS,
        parent: None,
        "fire",
        otel.name = %format_args!("fire {}", runner.handler),
        otel.kind = "internal",
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.handler,
    )
}

/// A timer fires, soon after it was due or late.
pub(crate) fn fired(runner: &HandlerRunner, timer: &Timer) {
    metric!(
        monotonic_counter.cqrs.timer.fired = 1_u64,
        histogram.cqrs.timer.delay = (runner.clock.now() - timer.due_at).as_seconds_f64().max(0.0),
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.handler,
        cqrs.timer = if timer.command.is_some() { "command" } else { "deadline" },
    );
}
