//! An aggregate has events.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone)]
struct Wallet;

#[aggregate]
impl Wallet {
    #[execute]
    fn open(&self, _: &Open) {}
}

fn main() {}
