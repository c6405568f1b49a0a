//! Orders, and a warehouse that sends a parcel for each.

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct OrderPlaced {
    pub article: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ParcelSent {}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Counter, aggregate = Order, identify_by = order_id)]
pub struct PlaceOrder {
    pub order_id: String,
    pub article: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Counter, aggregate = Order, identify_by = order_id)]
pub struct SendParcel {
    pub order_id: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    #[error("the order is placed already")]
    AlreadyPlaced,
    #[error("there is no such order")]
    Unknown,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Order {
    is_placed: bool,
}

#[aggregate(stream_prefix = "order", error = OrderError)]
impl Order {
    #[execute]
    fn place(&self, command: &PlaceOrder) -> Result<OrderPlaced, OrderError> {
        match self.is_placed {
            true => Err(OrderError::AlreadyPlaced),
            false => Ok(OrderPlaced { article: command.article.clone() }),
        }
    }

    #[execute]
    fn send_parcel(&self, _command: &SendParcel) -> Result<ParcelSent, OrderError> {
        if self.is_placed { Ok(ParcelSent {}) } else { Err(OrderError::Unknown) }
    }

    #[apply]
    fn placed(&mut self, _event: &OrderPlaced) {
        self.is_placed = true;
    }

    #[apply]
    fn sent(&mut self, _event: &ParcelSent) {}
}

#[derive(Router)]
pub struct Counter;

/// Its span is linked to the dispatch of the order, and what it dispatches lies inside its span.
#[derive(Default)]
pub struct Warehouse;

#[event_handler(name = "warehouse", interested_in = [OrderPlaced], consistency = strong)]
impl Warehouse {
    async fn on_placed(
        &self,
        _event: &OrderPlaced,
        context: &EventContext,
    ) -> Result<(), DispatchError<OrderError>> {
        if let Some(shop) = context.app::<Shop>() {
            shop.dispatch(SendParcel { order_id: context.aggregate_id().to_owned() }).await?;
        }
        Ok(())
    }
}

application! {
    /// Sells teapots.
    pub struct Shop {
        routers: [Counter],
        event_handlers: [Warehouse],
    }
}
