//! A state that is kept needs a form in which to keep it.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone)]
struct Wallet;

#[aggregate(snapshot_every = 5)]
impl Wallet {
    #[apply]
    fn opened(&mut self, _: &Opened) {}
}

fn main() {}
