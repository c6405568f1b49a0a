//! The context that ships. It knows nothing of Sales; an order is to it what a parcel is for.

use std::convert::Infallible;

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ParcelPrepared {
    pub order_id: String,
    pub item: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ParcelSent {
    pub order_id: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Parcels, aggregate = Parcel, identify_by = order_id)]
pub struct PrepareParcel {
    pub order_id: String,
    pub item: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Parcels, aggregate = Parcel, identify_by = order_id)]
pub struct SendParcel {
    pub order_id: String,
}

#[derive(Default, Clone)]
pub struct Parcel {
    waiting: bool,
}

// The streams have the names that those of Sales have.
#[aggregate(stream_prefix = "order")]
impl Parcel {
    #[execute]
    fn prepare(&self, command: &PrepareParcel) -> ParcelPrepared {
        let PrepareParcel { order_id, item } = command.clone();
        ParcelPrepared { order_id, item }
    }

    #[execute]
    fn send(&self, command: &SendParcel) -> Option<ParcelSent> {
        self.waiting.then(|| ParcelSent { order_id: command.order_id.clone() })
    }

    #[apply]
    fn prepared(&mut self, _event: &ParcelPrepared) {
        self.waiting = true;
    }

    #[apply]
    fn sent(&mut self, _event: &ParcelSent) {
        self.waiting = false;
    }
}

#[derive(Router)]
pub struct Parcels;

/// Prints labels.
#[derive(Default)]
pub struct Desk;

#[event_handler(name = "desk", interested_in = [ParcelSent], start_from = origin, consistency = strong)]
impl Desk {
    async fn on_sent(&self, event: &ParcelSent) -> Result<(), Infallible> {
        println!("  shipping  the desk prints the label of order {}", event.order_id);
        Ok(())
    }
}

application! {
    /// Sends parcels.
    pub struct Shipping {
        routers: [Parcels],
        event_handlers: [Desk],
    }
}
