//! What a command has to say.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
struct Nothing {
    id: u64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter)]
struct RouterOnly {
    id: u64,
}

fn main() {}
