//! What happens in the two contexts.

use std::error::Error;

use cqrs::application::Running;
use cqrs::id::CommandId;
use cqrs::prelude::*;
use cqrs::store::EventFilter;
use uuid::Uuid;

use crate::places::Places;
use crate::sales::{Desk, PlaceOrder, Sales};
use crate::shipping::{SendParcel, Shipping};

pub async fn tell(places: &Places) -> Result<(), Box<dyn Error>> {
    println!("Shipping and Sales start, on {}.", places.description);
    let shipping_store = PostgresStore::connect(places.shipping.config("shipping")).await?;
    let sales_store = PostgresStore::connect(places.sales.config("sales")).await?;
    let shipping = Shipping::builder(shipping_store).start().await?;
    let sales = Sales::builder(sales_store).event_handler(Desk::new(shipping.clone())).start().await?;
    let before = (shipping.store().head().await?, sales.store().head().await?);

    // An id of its own for each run, since the databases may have seen others.
    let order_id = Uuid::new_v4().simple().to_string()[..6].to_owned();
    let id = CommandId::new();
    println!("\nOrder {order_id} is placed. The desk fails after it has told Shipping, and tries again.");
    let order = PlaceOrder { order_id: order_id.clone(), item: "teapot".to_owned() };
    let placed = sales.dispatch(order).command_id(id).consistency(Strong).await?;
    println!("  sales     stream {} version {}", placed.stream_id(), placed.version());

    println!("\nThe parcel is sent, by a command with the id of the one to Sales: Shipping has not seen it.");
    let sent = shipping.dispatch(SendParcel { order_id }).command_id(id).consistency(Strong).await?;
    if sent.is_repeated() {
        return Err("a command to Sales was taken for one to Shipping".into());
    }
    println!(
        "  shipping  stream {} version {}, repeated: {}",
        sent.stream_id(),
        sent.version(),
        sent.is_repeated()
    );

    println!(
        "\nEach has a log of its own, and a handler `desk` with a place of its own in it. What belongs together"
    );
    println!("has one correlation id (its last digits are shown), across the contexts too.");
    show("shipping", &shipping, before.0).await?;
    show("sales", &sales, before.1).await?;

    // Sales first: its desk needs Shipping.
    sales.shutdown().await;
    shipping.shutdown().await;
    Ok(())
}

/// The log of a context from behind position `after`, and how far its handlers have come.
async fn show<A>(name: &str, context: &Running<A>, after: u64) -> Result<(), Box<dyn Error>> {
    println!("  {name}");
    for event in context.store().read_log(after, &EventFilter::all(), 100).await?.events {
        let correlation = event.correlation_id.to_string();
        println!(
            "    {:2}  {} {}  {:<15} ..{}",
            event.position,
            event.stream_id,
            event.stream_version,
            event.event_type,
            &correlation[correlation.len() - 6..]
        );
    }
    for handler in context.handlers().await? {
        println!("    handler {:?} at position {}", handler.name, handler.position);
    }
    Ok(())
}
