#![doc = include_str!("../docs/telemetry.md")]

/// Emits metrics: an event that is no line of a log. All its other fields are labels, so that none of them may have many
/// values.
macro_rules! metric {
    ($($fields:tt)*) => {
        tracing::event!(target: $crate::telemetry::METRICS, tracing::Level::DEBUG, $($fields)*)
    };
}

pub(crate) mod aggregate;
pub(crate) mod append;
pub(crate) mod batch;
pub(crate) mod dispatch;
pub(crate) mod handler;
pub(crate) mod lease;
pub(crate) mod process_manager;
pub(crate) mod publisher;
pub(crate) mod sample;
pub(crate) mod tail;
pub(crate) mod timer;

mod error_type;
mod observed;
mod propagation;
mod propagator;
mod stopwatch;
mod trace_context;

pub use propagator::Propagator;
pub use trace_context::{InvalidTraceContext, TraceContext};

pub(crate) use error_type::ErrorType;
pub(crate) use propagation::Propagation;
pub(crate) use stopwatch::Stopwatch;

/// The target of all spans.
pub const SPANS: &str = "cqrs";

/// The target of all metrics.
pub const METRICS: &str = "cqrs::metrics";

/// Whether there is a chance that somebody listens to metrics: one load of what all subscribers let through at most.
pub(crate) fn may_be_listened_to() -> bool {
    tracing::level_filters::LevelFilter::current() >= tracing::Level::DEBUG
}
