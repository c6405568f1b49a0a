//! A shop that sells a few products.

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Sold {
    pub product: String,
    pub pieces: u32,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Counter, aggregate = Product, identify_by = product)]
pub struct Sell {
    pub product: String,
    pub pieces: u32,
}

#[derive(Default, Clone, Debug)]
pub struct Product {
    pub sold: u64,
}

#[aggregate(stream_prefix = "product")]
impl Product {
    #[execute]
    fn sell(&self, command: &Sell) -> Sold {
        Sold { product: command.product.clone(), pieces: command.pieces }
    }

    #[apply]
    fn sold(&mut self, event: &Sold) {
        self.sold += u64::from(event.pieces);
    }
}

#[derive(Router)]
pub struct Counter;

application! {
    /// A shop. Each release of its program brings along the read model of its time.
    pub struct Shop {
        routers: [Counter],
    }
}

/// What is sold by a number, in turn.
pub fn sale(number: u64) -> Sell {
    const PRODUCTS: [&str; 5] = ["apple", "pear", "plum", "quince", "cherry"];
    let product =
        PRODUCTS.iter().cycle().nth((number % 5) as usize).map_or_else(String::new, ToString::to_string);
    Sell { product, pieces: 1 + u32::try_from(number % 3).unwrap_or_default() }
}
