//! A small domain that is right, for cases to go wrong with.

#![allow(dead_code, reason = "each case uses another part")]

pub use cqrs::prelude::*;
pub use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Opened;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Closed;

#[derive(Router)]
pub struct BankRouter;

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = id)]
pub struct Open {
    pub id: u64,
}

#[derive(Default, Clone)]
pub struct Account;

#[aggregate]
impl Account {
    #[execute]
    fn open(&self, _: &Open) -> Opened {
        Opened
    }

    #[apply]
    fn opened(&mut self, _: &Opened) {}
}

#[derive(Default)]
pub struct Handler;

#[event_handler(name = "handler", interested_in = [Opened])]
impl Handler {
    async fn on_opened(&self, _: &Opened) {}
}
