//! A shop whose events have a past: other names, other shapes.

#![expect(clippy::needless_pass_by_value, reason = "upcasters take their payload by value")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use cqrs::event::RawEvent;
use cqrs::prelude::*;
use cqrs::store::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Was stored under two other names before.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "shop.Named", aliases = ["shop.Titled", "shop.Called"])]
pub struct Named {
    pub name: String,
}

/// Had two other shapes, the first of them under a name whose type is gone.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "shop.Priced", version = 3, aliases = ["shop.Tagged"], upcast(1 => add_currency, 2 => in_cents))]
pub struct Priced {
    pub cents: u64,
    pub currency: String,
}

/// Held its lines itself once.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "shop.Ordered", version = 2, upcast(1 => split_lines -> [LineAdded]))]
pub struct Ordered {
    pub lines: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "shop.LineAdded")]
pub struct LineAdded {
    pub article: String,
}

/// Means nothing in its first version.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "shop.Noticed", version = 2, upcast(1 => |_| Vec::<RawEvent>::new()))]
pub struct Noticed;

/// Gives a type that it does not declare.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "shop.Smuggled", version = 2, upcast(1 => |_| vec![RawEvent::of::<LineAdded>(json!({ "article": "?" }))]))]
pub struct Smuggled;

/// Cannot be made new.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "shop.Lost", version = 2, upcast(1 => |_: Value| Err::<Value, _>("the receipt is gone")))]
pub struct Lost;

fn add_currency(mut payload: Value) -> Value {
    payload["currency"] = "EUR".into();
    payload
}

fn in_cents(payload: Value) -> Result<Value, String> {
    let euros = payload["price"].as_u64().ok_or("no price")?;
    Ok(json!({ "cents": euros * 100, "currency": payload["currency"] }))
}

fn split_lines(payload: Value) -> Result<Vec<RawEvent>, String> {
    let lines = payload["lines"].as_array().ok_or("no lines")?;
    let ordered = RawEvent::of::<Ordered>(json!({ "lines": lines.len() }));
    let line = |article: &Value| RawEvent::of::<LineAdded>(json!({ "article": article }));
    Ok(std::iter::once(ordered).chain(lines.iter().map(line)).collect())
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = ShopRouter, aggregate = Shop, identify_by = id)]
pub struct Name {
    pub id: String,
    pub name: String,
}

/// Remembers what it was told, in words.
#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Shop {
    pub told: Vec<String>,
}

#[aggregate(stream_prefix = "shop")]
impl Shop {
    #[execute]
    fn name(&self, command: &Name) -> Named {
        let name = command.name.clone();
        Named { name }
    }

    #[apply]
    fn named(&mut self, event: &Named) {
        self.told.push(told(event));
    }

    #[apply]
    fn priced(&mut self, event: &Priced) {
        self.told.push(told(event));
    }

    #[apply]
    fn ordered(&mut self, event: &Ordered) {
        self.told.push(told(event));
    }

    #[apply]
    fn line_added(&mut self, event: &LineAdded) {
        self.told.push(told(event));
    }

    #[apply]
    fn noticed(&mut self, event: &Noticed) {
        self.told.push(told(event));
    }

    #[apply]
    fn smuggled(&mut self, event: &Smuggled) {
        self.told.push(told(event));
    }

    #[apply]
    fn lost(&mut self, event: &Lost) {
        self.told.push(told(event));
    }
}

pub fn told(event: &impl std::fmt::Debug) -> String {
    format!("{event:?}")
}

#[derive(Clone, Default)]
pub struct Heard(pub Arc<Mutex<Vec<String>>>);

impl Heard {
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub fn hear(&self, event: &impl std::fmt::Debug) -> Result<(), Infallible> {
        self.0.lock().unwrap().push(told(event));
        Ok(())
    }
}

/// Hears of names, prices and lines.
#[derive(Clone, Default)]
pub struct Listener(pub Heard);

#[event_handler(name = "listener", interested_in = [Named, Priced, LineAdded], consistency = strong)]
impl Listener {
    async fn on_named(&self, event: &Named) -> Result<(), Infallible> {
        self.0.hear(event)
    }

    async fn on_priced(&self, event: &Priced) -> Result<(), Infallible> {
        self.0.hear(event)
    }

    async fn on_line(&self, event: &LineAdded) -> Result<(), Infallible> {
        self.0.hear(event)
    }
}

#[derive(Router)]
pub struct ShopRouter;

application! {
    pub struct Shops {
        routers: [ShopRouter],
        event_handlers: [Listener],
    }
}

/// The application on a store, and what its handler hears.
pub async fn shops(store: impl Store) -> (Shops, Heard) {
    let heard = Heard::default();
    let listener = Listener(heard.clone());
    let shops = Shops::builder(store).event_handler(listener).start().await.unwrap();
    (shops, heard)
}

pub fn name(id: &str, name: &str) -> Name {
    let (id, name) = (id.to_owned(), name.to_owned());
    Name { id, name }
}
