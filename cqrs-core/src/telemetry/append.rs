use tracing::Span;
use tracing::field::Empty;

use crate::aggregate::{Aggregate, Environment};
use crate::store::{AppendError, StreamId};
use crate::telemetry::SPANS;
use crate::telemetry::observed::observed;

/// Events on their way to the store, as it is told.
pub(crate) struct Appending<'a> {
    environment: &'a Environment,
    aggregate: &'static str,
    events: usize,
    span: Span,
}

impl<'a> Appending<'a> {
    /// The events of one command, inside the span in which it is executed.
    pub(crate) fn of_one<A: Aggregate>(
        environment: &'a Environment,
        stream_id: &StreamId,
        events: usize,
    ) -> Self {
        Self::new::<A>(environment, stream_id, events, 1, &Span::current())
    }

    /// The events of commands that are appended together: a span of its own, which follows from their dispatches.
    pub(crate) fn of_many<'s, A: Aggregate>(
        environment: &'a Environment,
        stream_id: &StreamId,
        events: usize,
        dispatches: impl ExactSizeIterator<Item = &'s Span>,
    ) -> Self {
        let appending = Self::new::<A>(environment, stream_id, events, dispatches.len(), &Span::none());
        dispatches.for_each(|dispatch| {
            appending.span.follows_from(dispatch);
        });
        appending
    }

    fn new<A: Aggregate>(
        environment: &'a Environment,
        stream_id: &StreamId,
        events: usize,
        commands: usize,
        parent: &Span,
    ) -> Self {
        let span = tracing::debug_span!(
            target: SPANS,
            parent: parent,
            "append",
            otel.name = %format_args!("append {}-{{id}}", A::STREAM_PREFIX),
            otel.kind = "client",
            otel.status_code = Empty,
            messaging.system = "cqrs",
            messaging.operation.name = "append",
            messaging.destination.template = %format_args!("{}-{{id}}", A::STREAM_PREFIX),
            messaging.batch.message_count = events,
            cqrs.application = &*environment.application,
            cqrs.aggregate = A::NAME,
            cqrs.stream_id = %stream_id,
            cqrs.commands = commands,
            error.type = Empty,
        );
        Self { environment, aggregate: A::NAME, events, span }
    }

    pub(crate) async fn observe<T>(
        self,
        append: impl Future<Output = Result<T, AppendError>>,
    ) -> Result<T, AppendError> {
        let Self { environment, aggregate, events, span } = self;
        observed(span, append, |stopwatch, result| {
            let error_type = result.err();
            metric!(
                histogram.cqrs.append.duration = stopwatch.seconds(),
                monotonic_counter.cqrs.append.events = error_type.is_none().then_some(events as u64),
                monotonic_counter.cqrs.append.conflicts = (error_type == Some("conflict")).then_some(1_u64),
                cqrs.application = &*environment.application,
                cqrs.aggregate = aggregate,
                error.type = error_type,
            );
        })
        .await
    }
}
