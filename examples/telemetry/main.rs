//! Spans and metrics for an OpenTelemetry collector, and traces that go on behind the log.
//!
//! Run it with `cargo run --example telemetry`. Everything is sent by OTLP over HTTP to where
//! `OTEL_EXPORTER_OTLP_ENDPOINT` says, `http://localhost:4318` unless it is set. Where nobody listens there, the program
//! says so in the end.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
#![expect(unreachable_pub, reason = "the modules read like those of a library")]

mod exporter;
mod propagator;
mod shop;

use std::error::Error;
use std::time::Duration;

use cqrs::application::Config;
use cqrs::prelude::*;
use tracing::Instrument as _;

use crate::exporter::Exporter;
use crate::propagator::OpenTelemetry;
use crate::shop::{PlaceOrder, Shop};

fn main() -> Result<(), Box<dyn Error>> {
    // Around the runtime, not inside: what the shutdown of the application tells is exported as well.
    let exporter = Exporter::start()?;
    let sold = tokio::runtime::Runtime::new()?.block_on(sell());
    match exporter.stop() {
        Ok(()) => println!("traces and metrics were exported"),
        Err(error) => println!("not everything was exported, is there a collector? {error}"),
    }
    sold
}

async fn sell() -> Result<(), Box<dyn Error>> {
    let shop = Shop::builder(MemoryStore::new())
        .propagator(OpenTelemetry)
        .config(Config::new().metrics_interval(Duration::from_secs(1)))
        .start()
        .await?;
    // As around a request from outside: the dispatch is part of its trace, and what handlers do is linked to it.
    let request = tracing::info_span!("request", otel.kind = "server");
    async {
        for order_id in ["o-1", "o-2", "o-3"] {
            let order = PlaceOrder { order_id: order_id.to_owned(), article: "teapot".to_owned() };
            let placed = shop.dispatch(order).consistency(Strong).await?;
            let trace = placed.metadata().trace_context();
            println!(
                "order {order_id} is placed, in trace {}",
                trace.as_ref().map_or("none", |trace| trace.traceparent())
            );
        }
        // Placed already: the span says `rejected`.
        let again = PlaceOrder { order_id: "o-1".to_owned(), article: "kettle".to_owned() };
        if let Err(error) = shop.dispatch(again).await {
            println!("refused: {error}");
        }
        Ok::<_, Box<dyn Error>>(())
    }
    .instrument(request)
    .await?;
    println!("{}", shop.shutdown().await);
    Ok(())
}
