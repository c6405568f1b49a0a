//! A method gives nothing, or a `Result`.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Reaction;

#[event_handler(name = "reaction", interested_in = [Opened, Closed], error = std::fmt::Error)]
impl Reaction {
    async fn on_opened(&self, _: &Opened) -> bool {
        true
    }

    async fn on_closed(&self, _: &Closed) -> Result<(), String> {
        Ok(())
    }
}

fn main() {}
