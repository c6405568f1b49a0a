use std::fmt;

use tracing::Span;

use crate::telemetry::TraceContext;

/// Connects the spans of this program with those of others, and of other times: what an event carries to whoever handles
/// it. [`Builder::propagator`](crate::application::Builder::propagator) takes one.
///
/// This crate knows `tracing`, whose spans have no identity outside of the program. A propagator knows the library that
/// exports them. With `tracing-opentelemetry` it is the code below; the example `telemetry` is a whole program.
///
/// ```ignore
/// impl Propagator for OpenTelemetry {
///     fn trace_context(&self, span: &Span) -> Option<TraceContext> {
///         let mut headers = HashMap::new();
///         TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
///         let context = TraceContext::new(headers.remove("traceparent")?).ok()?;
///         Some(context.with_tracestate(headers.remove("tracestate").unwrap_or_default()))
///     }
///
///     fn link(&self, span: &Span, to: &TraceContext) {
///         let mut headers = HashMap::from([("traceparent".to_owned(), to.traceparent().to_owned())]);
///         headers.extend(to.tracestate().map(|state| ("tracestate".to_owned(), state.to_owned())));
///         let linked = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
///         span.add_link(linked.span().span_context().clone());
///     }
/// }
/// ```
pub trait Propagator: fmt::Debug + Send + Sync + 'static {
    /// The place of a span in its trace, which the events of a command will carry; `None` when it is not exported. The
    /// span is one of those of [this module](crate::telemetry) or, where these are switched off, of the caller.
    fn trace_context(&self, span: &Span) -> Option<TraceContext>;

    /// Links a span to another one, mostly of another trace, that led to it.
    fn link(&self, span: &Span, to: &TraceContext);
}
