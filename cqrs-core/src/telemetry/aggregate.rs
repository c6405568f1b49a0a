use tracing::Span;
use tracing::field::Empty;

use crate::aggregate::{Aggregate, Environment, Order, Outcome};
use crate::store::StreamId;
use crate::telemetry::{SPANS, Stopwatch};

/// A command that its aggregate executes, as it is told.
pub(crate) struct Executing(Span);

impl Executing {
    /// Inside the dispatch.
    pub(crate) fn begin<A: Aggregate>(order: &Order<A>, stream_id: &StreamId) -> Self {
        Self(tracing::debug_span!(
            target: SPANS,
            parent: &order.span,
            "execute",
            otel.name = %format_args!("execute {}", order.command.name()),
            otel.kind = "internal",
            cqrs.aggregate = A::NAME,
            cqrs.command = order.command.name(),
            cqrs.stream_id = %stream_id,
            error.type = Empty,
        ))
    }

    /// What is said meanwhile belongs to this span or, where it is switched off, to what lies around it.
    pub(crate) fn span<A: Aggregate>(&self, order: &Order<A>) -> Span {
        if self.0.is_disabled() { order.span.clone() } else { self.0.clone() }
    }

    pub(crate) fn end<A: Aggregate>(self, outcome: &Outcome<A>) {
        if let Err(error) = outcome {
            self.0.record("error.type", error.kind().as_str());
        }
    }
}

/// A state was read from the store, so many events of it behind its snapshot.
pub(crate) fn loaded<A: Aggregate>(environment: &Environment, stopwatch: Stopwatch, events: u64) {
    metric!(
        histogram.cqrs.aggregate.load.duration = stopwatch.seconds(),
        histogram.cqrs.aggregate.load.events = events,
        cqrs.application = &*environment.application,
        cqrs.aggregate = A::NAME,
    );
}

/// A command was put into the mailbox of its aggregate, where that many wait now.
pub(crate) fn queued<A: Aggregate>(environment: &Environment, waiting: impl FnOnce() -> usize) {
    metric!(
        histogram.cqrs.mailbox.depth = waiting() as u64,
        cqrs.application = &*environment.application,
        cqrs.aggregate = A::NAME,
    );
}

/// A command has to wait since the mailbox of its aggregate is full.
pub(crate) fn mailbox_full<A: Aggregate>(environment: &Environment) {
    metric!(
        monotonic_counter.cqrs.mailbox.full = 1_u64,
        cqrs.application = &*environment.application,
        cqrs.aggregate = A::NAME,
    );
}
