//! Keys, methods and items.

#![allow(unused_variables, reason = "the signatures are the case")]

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default)]
struct Decider;

#[command_handler(agregate = Account)]
impl Decider {
    #[execute]
    async fn open(&self, command: &Open) -> Opened {
        Opened
    }
}

struct WithoutMethods;

#[command_handler]
impl WithoutMethods {
    fn open(&self) {}
}

struct OfAnother;

#[command_handler(aggregate = Account)]
impl OfAnother {
    #[execute]
    async fn open(&self, state: &u8, command: &Open) -> Opened {
        Opened
    }
}

#[command_handler]
fn function() {}

fn main() {}
