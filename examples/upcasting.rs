//! Events outlive the code that wrote them: a store with old payloads, read by newer types.
//!
//! Run it with `cargo run --example upcasting`.

#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use cqrs::event::Metadata;
use cqrs::id::{CommandId, CorrelationId, EventId};
use cqrs::prelude::*;
use cqrs::store::{Append, EventData, EventStore as _, ExpectedVersion, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

// Version 1 was called `Sale` and had an amount in euros. Version 2 got a currency, version 3 counts cents.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 3, aliases = ["Sale"], upcast(1 => add_currency, 2 => count_cents))]
struct ItemSold {
    cents: u64,
    currency: String,
}

fn add_currency(mut payload: Value) -> Value {
    payload["currency"] = json!("EUR");
    payload
}

fn count_cents(mut payload: Value) -> Result<Value, String> {
    let amount = payload["amount"].as_u64().ok_or("the amount is not a number")?;
    payload["cents"] = json!(amount * 100);
    Ok(payload)
}

// Once, a day ended with one event. Now that is two facts.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 2, upcast(1 => split -> [DrawerCounted]))]
struct DayClosed {}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct DrawerCounted {
    cents: u64,
}

fn split(mut payload: Value) -> Vec<RawEvent> {
    vec![
        RawEvent::of::<DrawerCounted>(json!({ "cents": payload["drawer"].take() })),
        RawEvent::of::<DayClosed>(json!({})),
    ]
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = Tills, aggregate = Till, identify_by = till)]
struct Sell {
    till: String,
    cents: u64,
}

#[derive(Default, Clone, Debug)]
struct Till {
    sold: u64,
    counted: u64,
    closed: bool,
}

#[aggregate(stream_prefix = "till")]
impl Till {
    #[execute]
    fn sell(&self, command: &Sell) -> ItemSold {
        ItemSold { cents: command.cents, currency: "EUR".to_owned() }
    }

    #[apply]
    fn sold(&mut self, event: &ItemSold) {
        self.sold += event.cents;
    }

    #[apply]
    fn counted(&mut self, event: &DrawerCounted) {
        self.counted = event.cents;
    }

    #[apply]
    fn closed(&mut self, _event: &DayClosed) {
        self.closed = true;
    }
}

#[derive(Router)]
struct Tills;

application! {
    /// A shop.
    struct Shop {
        routers: [Tills],
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new();
    let old = [
        ("Sale", 1, json!({ "amount": 5 })),
        ("ItemSold", 2, json!({ "amount": 7, "currency": "EUR" })),
        ("DayClosed", 1, json!({ "drawer": 1200 })),
    ];
    let append = Append::to_stream(
        CommandId::new(),
        StreamId::new("till-1")?,
        ExpectedVersion::NoStream,
        old.map(stored).into(),
    );
    store.append(append).await?;

    let shop = Shop::builder(store).start().await?;
    let till = shop.aggregate_state::<Till>("1").await?;
    println!("version {}: {:?}", till.version, till.state);
    assert_eq!((till.state.sold, till.state.counted, till.state.closed), (1_200, 1_200, true));

    let receipt = shop.dispatch(Sell { till: "1".to_owned(), cents: 250 }).await?;
    println!("version {}: {:?}", receipt.version(), receipt.state());
    shop.shutdown().await;
    Ok(())
}

/// An event as an older program stored it.
fn stored((name, version, data): (&'static str, u32, Value)) -> EventData {
    EventData {
        event_id: EventId::new(),
        event_type: name.into(),
        schema_version: version,
        data: data.to_string().into(),
        metadata: Metadata::new(),
        causation_id: CommandId::new().into(),
        correlation_id: CorrelationId::new(),
    }
}
