//! Each event of the list has one method, and each method an event of the list.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Reaction;

#[event_handler(name = "reaction", interested_in = [Opened, Open])]
impl Reaction {
    async fn on_opened(&self, _: &Opened) {}

    async fn opened_again(&self, _: &Opened) {}

    async fn on_closed(&self, _: &Closed) {}
}

fn main() {}
