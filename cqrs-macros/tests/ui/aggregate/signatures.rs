//! What the methods take and give.

#![allow(unused_variables, reason = "the signatures are the case")]

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone)]
struct Wallet;

#[aggregate]
impl Wallet {
    #[execute]
    async fn open(&mut self, command: Open, more: u8, context: CommandContext) -> Opened {
        Opened
    }

    #[execute]
    fn without_command(&self) -> Opened {
        Opened
    }

    #[apply]
    fn opened(&self, event: Opened) -> bool {
        true
    }

    #[apply]
    fn without_event(&mut self) {}

    #[before_execute]
    fn before(&self) {}

    #[aply]
    fn closed(&mut self, event: &Closed) {}
}

fn main() {}
