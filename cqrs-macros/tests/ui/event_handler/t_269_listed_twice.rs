//! An event is listed once.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Reaction;

#[event_handler(name = "reaction", interested_in = [Opened, Opened])]
impl Reaction {
    async fn on_opened(&self, _: &Opened) {}
}

fn main() {}
