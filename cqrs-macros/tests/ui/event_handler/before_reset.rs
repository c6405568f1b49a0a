//! What is called before a reset takes nothing and may fail.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Reaction;

#[event_handler(name = "reaction", interested_in = [Opened])]
impl Reaction {
    async fn on_opened(&self, _: &Opened) {}

    async fn before_reset(&self, _position: u64) -> bool {
        true
    }
}

fn main() {}
