//! What is called apart from events takes nothing, or what it is told, and may fail.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Reaction;

#[event_handler(name = "reaction", interested_in = [Opened])]
impl Reaction {
    async fn init(&mut self) -> Result<(), std::fmt::Error> {
        Ok(())
    }

    async fn after_start(&self, _context: &EventContext) {}

    async fn on_opened(&self, _: &Opened) {}

    async fn before_reset(&self, _position: u64) -> bool {
        true
    }
}

struct Owned;

#[event_handler(name = "owned", interested_in = [Opened], error = std::fmt::Error)]
impl Owned {
    fn init(&self, _: &StartContext) -> Result<(), std::fmt::Error> {
        Ok(())
    }

    fn after_start(&self, _: StartContext) -> Result<(), std::fmt::Error> {
        Ok(())
    }

    fn on_opened(&self, _: &Opened) {}
}

fn main() {}
