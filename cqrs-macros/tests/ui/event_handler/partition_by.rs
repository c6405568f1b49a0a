//! The key is a field of every event.

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Opened {
    pub account_id: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Transferred {
    pub from: String,
}

pub struct Balances;

#[event_handler(name = "balances", interested_in = [Opened, Transferred], partition_by = account_id)]
impl Balances {
    fn on_opened(&self, _event: &Opened) {}
    fn on_transferred(&self, _event: &Transferred) {}
}

fn main() {}
