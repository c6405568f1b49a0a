//! Unknown, missing and wrong keys.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Reaction;

#[event_handler(interested_in = [Opened], start_from = beginning, consistency = sometimes, batches = 5)]
impl Reaction {
    async fn on_opened(&self, _: &Opened) {}
}

struct Nameless;

#[event_handler(name = "", interested_in = [Opened])]
impl Nameless {
    async fn on_opened(&self, _: &Opened) {}
}

fn main() {}
