//! The command's handler has no method for it.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = id, handler = Decider)]
struct Close {
    id: u64,
}

#[derive(Default)]
struct Decider;

fn main() {}
