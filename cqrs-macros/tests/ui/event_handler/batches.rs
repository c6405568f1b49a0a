//! T-269, T-307: batches come to one method, as a set of events.

use cqrs::handler::Envelope;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Opened {
    pub account_id: String,
}

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum AccountEvent {
    Opened(Opened),
}

pub struct NoMethod;

#[event_handler(name = "no-method", events = AccountEvent)]
impl NoMethod {}

pub struct NoSet;

#[event_handler(name = "no-set", interested_in = [Opened])]
impl NoSet {
    fn on_opened(&self, _event: &Opened) {}
    fn on_batch(&self, _events: &[Envelope<Opened>]) {}
}

pub struct Unused;

#[event_handler(name = "unused", interested_in = [Opened], batch_size = 5, batch_time = "1s")]
impl Unused {
    fn on_opened(&self, _event: &Opened) {}
}

pub struct Sizes;

#[event_handler(name = "sizes", events = AccountEvent, batch_size = 0, batch_time = 5, partitions = 0)]
impl Sizes {
    fn on_batch(&self, _events: &[Envelope<AccountEvent>]) {}
}

pub struct Mistaken;

#[event_handler(name = "mistaken", events = AccountEvent, partition_by = account_id)]
impl Mistaken {
    fn on_batch(&self, _event: Envelope<AccountEvent>) {}
}

fn main() {}
