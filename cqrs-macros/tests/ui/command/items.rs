//! What cannot be a command.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command)]
#[command(router = BankRouter, aggregate = Account, identify_by = id)]
struct Generic<T> {
    id: T,
}

#[derive(Command)]
#[command(router = BankRouter, aggregate = Account, identify_by = Self::id)]
union Union {
    id: u8,
}

fn main() {}
