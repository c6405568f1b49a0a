//! What cannot be an event.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Event)]
struct Generic<T>(T);

#[derive(Event)]
union Union {
    number: u8,
}

fn main() {}
