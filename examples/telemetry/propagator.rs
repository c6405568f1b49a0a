//! What events carry, for `tracing-opentelemetry`.

use std::collections::HashMap;

use cqrs::telemetry::{Propagator, TraceContext};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Knows the spans of `tracing` by their places in OpenTelemetry's traces.
#[derive(Debug)]
pub struct OpenTelemetry;

impl Propagator for OpenTelemetry {
    fn trace_context(&self, span: &Span) -> Option<TraceContext> {
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
        let context = TraceContext::new(headers.remove("traceparent")?).ok()?;
        Some(context.with_tracestate(headers.remove("tracestate").unwrap_or_default()))
    }

    fn link(&self, span: &Span, to: &TraceContext) {
        let mut headers = HashMap::from([("traceparent".to_owned(), to.traceparent().to_owned())]);
        headers.extend(to.tracestate().map(|state| ("tracestate".to_owned(), state.to_owned())));
        let linked = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
        span.add_link(linked.span().span_context().clone());
    }
}
