//! The context that sells. It knows that Shipping exists, and which commands it takes.

use cqrs::dispatch::DispatchError;
use cqrs::id::CommandId;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use crate::shipping::{PrepareParcel, Shipping};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct OrderPlaced {
    pub order_id: String,
    pub item: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Orders, aggregate = Order, identify_by = order_id)]
pub struct PlaceOrder {
    pub order_id: String,
    pub item: String,
}

#[derive(Default, Clone)]
pub struct Order {
    placed: bool,
}

#[aggregate(stream_prefix = "order")]
impl Order {
    #[execute]
    fn place(&self, command: &PlaceOrder) -> Option<OrderPlaced> {
        let PlaceOrder { order_id, item } = command.clone();
        (!self.placed).then_some(OrderPlaced { order_id, item })
    }

    #[apply]
    fn placed(&mut self, _event: &OrderPlaced) {
        self.placed = true;
    }
}

#[derive(Router)]
pub struct Orders;

/// Tells Shipping what was ordered.
pub struct Desk {
    shipping: Shipping,
}

/// What a crash looks like to whoever runs a handler: it did its work, and nobody noted it.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error("the power failed after Shipping was told")]
    PowerFailed,
    #[error(transparent)]
    Shipping(#[from] DispatchError<std::convert::Infallible>),
}

impl Desk {
    pub fn new(shipping: Shipping) -> Self {
        Self { shipping }
    }
}

#[event_handler(name = "desk", interested_in = [OrderPlaced], start_from = origin, consistency = strong)]
impl Desk {
    async fn on_placed(&self, event: &OrderPlaced, context: &EventContext) -> Result<(), DeskError> {
        let OrderPlaced { order_id, item } = event.clone();
        // The same event gives the same id, so that Shipping hears of it once however often it is told.
        let id = CommandId::from_key(&format!("prepare-parcel/{}", context.event_id()));
        let told = self.shipping.dispatch(PrepareParcel { order_id, item }).command_id(id).await?;
        println!("  sales     the desk tells Shipping; Shipping knew it already: {}", told.is_repeated());
        match context.attempt() {
            1 => Err(DeskError::PowerFailed),
            _ => Ok(()),
        }
    }
}

application! {
    /// Takes orders.
    pub struct Sales {
        routers: [Orders],
        event_handlers: [Desk],
    }
}
