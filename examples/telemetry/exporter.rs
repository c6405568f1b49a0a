//! The standard crates, put together: `tracing` to OpenTelemetry to a collector.

use std::error::Error;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_opentelemetry::MetricsLayer;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Sends spans and metrics to a collector, until it is stopped.
pub struct Exporter {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
}

impl Exporter {
    /// Reads where to in the standard environment variables, and becomes the program's subscriber.
    pub fn start() -> Result<Self, Box<dyn Error>> {
        let resource = Resource::builder().with_service_name("shop").build();
        let traces = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(SpanExporter::builder().with_http().build()?)
            .build();
        let metrics = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_periodic_exporter(MetricExporter::builder().with_http().build()?)
            .build();
        // Each layer has a filter of its own. Metrics would be events of spans and lines of the log otherwise.
        let spans = EnvFilter::new("info,cqrs=debug,cqrs::metrics=off");
        let lines = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
        tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer().with_tracer(traces.tracer("shop")).with_filter(spans))
            .with(MetricsLayer::new(metrics.clone()))
            .with(tracing_subscriber::fmt::layer().with_filter(lines))
            .init();
        Ok(Self { traces, metrics })
    }

    /// Sends what is left. The error is that something could not be sent.
    pub fn stop(self) -> Result<(), Box<dyn Error>> {
        let flushed = [self.traces.force_flush(), self.metrics.force_flush()];
        // Said before what has failed, if anything has: both are stopped in any case.
        let stopped = [self.traces.shutdown(), self.metrics.shutdown()];
        for done in flushed.into_iter().chain(stopped) {
            done?;
        }
        Ok(())
    }
}
