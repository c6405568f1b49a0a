//! The message lists the keys that there are.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = id, retries = 3)]
struct Close {
    id: u64,
}

fn main() {}
