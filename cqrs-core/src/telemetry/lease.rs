use tracing::Span;
use tracing::field::Empty;

use crate::handler::{HandlerRunner, Tenure};
use crate::store::StoreError;
use crate::telemetry::SPANS;
use crate::telemetry::observed::observed;

/// What the store is asked to do about leases.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LeaseCall<'a> {
    /// Give the lease of a handler to this node.
    Acquire(&'a str),
    /// Renew all that this node holds.
    Renew,
    /// Take the lease of a handler back.
    Release(&'a str),
}

impl LeaseCall<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Acquire(_) => "acquire",
            Self::Renew => "renew",
            Self::Release(_) => "release",
        }
    }

    fn handler(&self) -> Option<&str> {
        match self {
            Self::Acquire(handler) | Self::Release(handler) => Some(handler),
            Self::Renew => None,
        }
    }

    fn span(self, application: &str) -> Span {
        // A node asks again and again, whatever happens.
        tracing::trace_span!(
            target: SPANS,
            parent: None,
            "lease",
            otel.name = %format_args!("{} lease", self.name()),
            otel.kind = "client",
            otel.status_code = Empty,
            cqrs.operation = self.name(),
            cqrs.application = application,
            cqrs.handler = self.handler(),
            error.type = Empty,
        )
    }

    pub(crate) async fn observe<T>(
        self,
        application: &str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        observed(self.span(application), call, |stopwatch, result| {
            metric!(
                histogram.cqrs.lease.duration = stopwatch.seconds(),
                cqrs.operation = self.name(),
                cqrs.application = application,
                error.type = result.err(),
            );
        })
        .await
    }
}

/// This node has become the owner of a handler.
pub(crate) fn acquired(runner: &HandlerRunner) {
    metric!(
        monotonic_counter.cqrs.lease.acquired = 1_u64,
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.handler,
    );
}

/// This node is not the owner of a handler any more, without having given it back.
pub(crate) fn lost(runner: &HandlerRunner, tenure: &Tenure) {
    metric!(
        monotonic_counter.cqrs.lease.lost = 1_u64,
        cqrs.application = &*runner.application,
        cqrs.handler = &*runner.handler,
        error.type = if tenure.lease.is_fenced() { "fenced" } else { "expired" },
    );
}
