//! The aggregate has no method for the command.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = id)]
struct Close {
    id: u64,
}

fn main() {}
