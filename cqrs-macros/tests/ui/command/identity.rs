//! Fields that are not there, and an enum's.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = account_id)]
struct Close {
    id: u64,
    reason: String,
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = id)]
enum Change {
    Close,
}

fn main() {}
