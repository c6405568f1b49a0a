//! What a handler keeps: a type of the right kind, taken by `&mut`.

#![allow(unused_variables, reason = "the signatures are the case")]

#[path = "../bank.rs"]
mod bank;
use bank::*;
use cqrs::handler::Envelope;

#[derive(Serialize, Deserialize, Default, Clone)]
pub struct Totals;

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum AccountEvent {
    Opened(Opened),
}

pub struct Undeclared;

#[event_handler(name = "undeclared", interested_in = [Opened])]
impl Undeclared {
    fn on_opened(&self, _: &Opened, state: &mut Totals) {}
}

pub struct Shared;

#[event_handler(name = "shared", interested_in = [Opened, Closed], state = Totals)]
impl Shared {
    fn on_opened(&self, _: &Opened, state: &Totals) {}
}

pub struct Twice;

#[event_handler(name = "twice", interested_in = [Opened], state = Totals)]
impl Twice {
    fn on_opened(&self, _: &Opened, state: &mut Totals, _: &EventContext, again: &mut Totals) {}
}

pub struct Batches;

#[event_handler(name = "batches", events = AccountEvent, state = Totals)]
impl Batches {
    fn on_batch(&self, events: &[Envelope<AccountEvent>]) {}
}

fn main() {}
