use crate::error_text::error_text;
use crate::middleware::{DispatchContext, DispatchFailure, DispatchOutcome, FailureKind, Halt, Middleware};

/// Logs each dispatch with `tracing`: its start and success at debug level, a refusal by the domain or by a
/// layer at info, any other failure at warn.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestLog;

impl Middleware for RequestLog {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        tracing::debug!(
            cqrs.application = context.application(),
            cqrs.command = context.command().name(),
            cqrs.command_id = %context.command_id(),
            cqrs.correlation_id = %context.correlation_id(),
            "dispatching"
        );
        Ok(())
    }

    async fn after_dispatch(&self, context: &mut DispatchContext, outcome: &DispatchOutcome) {
        tracing::debug!(
            cqrs.application = context.application(),
            cqrs.command = context.command().name(),
            cqrs.command_id = %context.command_id(),
            cqrs.stream_id = %outcome.stream_id,
            cqrs.stream_version = outcome.version,
            cqrs.events = outcome.event_types.len(),
            elapsed_secs = context.elapsed().as_secs_f64(),
            "dispatched"
        );
    }

    async fn after_failure(&self, context: &mut DispatchContext, failure: &DispatchFailure<'_>) {
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    cqrs.application = context.application(),
                    cqrs.command = context.command().name(),
                    cqrs.command_id = %context.command_id(),
                    error = error_text(failure.error),
                    elapsed_secs = context.elapsed().as_secs_f64(),
                    "dispatch failed"
                )
            };
        }
        match failure.kind {
            FailureKind::Rejected | FailureKind::Invalid | FailureKind::Halted => log!(info),
            _ => log!(warn),
        }
    }
}
