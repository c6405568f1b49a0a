//! One method for each command, and one for each event.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone)]
struct Wallet;

#[aggregate]
impl Wallet {
    #[execute]
    fn open(&self, _: &Open) -> Opened {
        Opened
    }

    #[execute]
    fn open_again(&self, _: &bank::Open) -> Opened {
        Opened
    }

    #[apply]
    fn opened(&mut self, _: &Opened) {}

    #[apply]
    fn opened_again(&mut self, _: &bank::Opened) {}
}

fn main() {}
