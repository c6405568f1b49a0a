//! The domain that most tests use: something is added, taken, and never falls below zero.

use cqrs::prelude::*;
use cqrs::store::{EventData, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::gate::Gate;
use super::log::raw;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "tally.Added")]
pub struct Added {
    pub amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "tally.Taken")]
pub struct Taken {
    pub amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = TallyRouter, aggregate = Tally, identify_by = id)]
pub struct Add {
    pub id: String,
    pub amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = TallyRouter, aggregate = Tally, identify_by = id)]
pub struct AddEach {
    pub id: String,
    pub amounts: Vec<u64>,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = TallyRouter, aggregate = Tally, identify_by = id)]
pub struct Take {
    pub id: String,
    pub amount: u64,
}

/// Decides on nothing.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = TallyRouter, aggregate = Tally, identify_by = id)]
pub struct Look {
    pub id: String,
}

/// Panics.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = TallyRouter, aggregate = Tally, identify_by = id)]
pub struct Explode {
    pub id: String,
}

/// Adds, once the gate of [`Held`] lets it.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = TallyRouter, aggregate = Tally, identify_by = id, handler = Held)]
pub struct AddHeld {
    pub id: String,
    pub amount: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{total} is too little")]
pub struct TooLittle {
    pub total: u64,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub total: u64,
    pub events: u64,
}

#[aggregate(stream_prefix = "tally", error = TooLittle)]
impl Tally {
    #[execute]
    fn add(&self, command: &Add) -> Added {
        let amount = command.amount;
        Added { amount }
    }

    #[execute]
    fn add_each(&self, command: &AddEach) -> Vec<Added> {
        command.amounts.iter().map(|&amount| Added { amount }).collect()
    }

    #[execute]
    fn take(&self, command: &Take) -> Result<Taken, TooLittle> {
        let (amount, total) = (command.amount, self.total);
        if amount > total {
            return Err(TooLittle { total });
        }
        Ok(Taken { amount })
    }

    #[execute]
    fn look(&self, _command: &Look) {}

    #[execute]
    fn explode(&self, command: &Explode) {
        panic!("{} exploded", command.id);
    }

    #[apply]
    fn added(&mut self, event: &Added) {
        self.total += event.amount;
        self.events += 1;
    }

    #[apply]
    fn taken(&mut self, event: &Taken) {
        self.total -= event.amount;
        self.events += 1;
    }
}

#[derive(Default)]
pub struct Held(pub Gate);

#[command_handler]
impl Held {
    #[execute]
    async fn add(&self, _state: &Tally, command: &AddHeld) -> Added {
        self.0.pass().await;
        let amount = command.amount;
        Added { amount }
    }
}

#[derive(Router)]
pub struct TallyRouter;

application! {
    pub struct Tallies {
        routers: [TallyRouter],
    }
}

/// The application on a store.
pub async fn tallies(store: impl Store) -> Tallies {
    Tallies::builder(store).start().await.unwrap()
}

/// The same application as a further node on the store.
pub async fn node(store: impl Store, name: &str) -> Tallies {
    Tallies::builder(store).node(name).start().await.unwrap()
}

pub fn add(id: &str, amount: u64) -> Add {
    let id = id.to_owned();
    Add { id, amount }
}

pub fn take(id: &str, amount: u64) -> Take {
    let id = id.to_owned();
    Take { id, amount }
}

pub fn add_each(id: &str, amounts: &[u64]) -> AddEach {
    let (id, amounts) = (id.to_owned(), amounts.to_vec());
    AddEach { id, amounts }
}

pub fn add_held(id: &str, amount: u64) -> AddHeld {
    let id = id.to_owned();
    AddHeld { id, amount }
}

pub fn look(id: &str) -> Look {
    Look { id: id.to_owned() }
}

pub fn explode(id: &str) -> Explode {
    Explode { id: id.to_owned() }
}

/// `tally.Added` as another program writes it.
pub fn added(amount: u64) -> EventData {
    raw("tally.Added", 1, &json!({ "amount": amount }))
}
