use std::sync::Arc;

use tracing::Span;

use crate::ambient::Ambient;
use crate::event::Metadata;
use crate::panics;
use crate::telemetry::{Propagator, TraceContext};

/// An application's propagator, if it has one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Propagation(Option<Arc<dyn Propagator>>);

/// How many links a span gets at most: those of a large batch would be dropped by whoever exports them.
const MAX_LINKS: usize = 128;

impl Propagation {
    pub(crate) fn new(propagator: impl Propagator) -> Self {
        Self(Some(Arc::new(propagator)))
    }

    /// Has a command carry the trace context of its dispatch. The span is linked to one that the command carries
    /// already: that of its caller, or of what led a process manager to send it. Where spans have no identity, the one
    /// is kept, and that of the event is handed on that is being handled.
    pub(crate) fn carry(&self, span: &Span, metadata: &mut Metadata, ambient: Option<&Ambient>) {
        if let Some(own) = self.current(span) {
            self.link(span, metadata);
            own.put_into(metadata);
        } else if metadata.get(TraceContext::TRACEPARENT).is_none()
            && let Some(inherited) = ambient.and_then(|ambient| ambient.metadata.trace_context())
        {
            inherited.put_into(metadata);
        }
    }

    /// Has what a step leads to carry the trace context of the step.
    pub(crate) fn stamp(&self, span: &Span, metadata: &mut Metadata) {
        if let Some(own) = self.current(span) {
            own.put_into(metadata);
        }
    }

    /// Links a span to what metadata carry.
    pub(crate) fn link(&self, span: &Span, metadata: &Metadata) {
        self.link_all(span, std::iter::once(metadata));
    }

    /// Links a span to what several metadata carry, once to each.
    pub(crate) fn link_all<'a>(&self, span: &Span, all: impl Iterator<Item = &'a Metadata>) {
        let Some(propagator) = self.0.as_ref().filter(|_| !span.is_disabled()) else { return };
        let mut linked: Vec<TraceContext> = Vec::new();
        for context in all.filter_map(Metadata::trace_context) {
            if linked.len() >= MAX_LINKS {
                return;
            }
            if !linked.contains(&context) {
                let _ = caught(|| propagator.link(span, &context));
                linked.push(context);
            }
        }
    }

    /// The trace context of a span or, if that is switched off, of the one that is open around it.
    fn current(&self, span: &Span) -> Option<TraceContext> {
        let propagator = self.0.as_ref()?;
        caught(|| match span.is_disabled() {
            true => propagator.trace_context(&Span::current()),
            false => propagator.trace_context(span),
        })?
    }
}

/// Runs code of the user's; a panic of it costs no more than a link.
fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    panics::catch(work).map_err(|panic| tracing::error!(panic, "the propagator panicked")).ok()
}
