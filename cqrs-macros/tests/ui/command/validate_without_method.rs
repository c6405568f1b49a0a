//! `validate` calls a method that has to be there.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = id, handler = Decider, validate)]
struct Close {
    id: u64,
}

#[derive(Default)]
struct Decider;

#[command_handler]
impl Decider {
    #[execute]
    fn close(&self, _: &Account, _: &Close) {}
}

fn main() {}
