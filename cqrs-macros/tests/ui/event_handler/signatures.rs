//! What the methods take and give.

#![allow(unused_variables, reason = "the signatures are the case")]

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Reaction;

#[event_handler(name = "reaction", interested_in = [Opened, Closed])]
impl Reaction {
    async fn on_opened(&mut self, event: Opened, context: EventContext, more: u8) {}

    async fn on_closed(&self) {}

    async fn on_error(&self, failure: HandlerFailure<std::fmt::Error>) {}
}

struct Errors;

#[event_handler(name = "errors", interested_in = [Opened, Closed])]
impl Errors {
    async fn on_opened(&self, _: &Opened) -> Result<(), std::fmt::Error> {
        Ok(())
    }

    async fn on_closed(&self, _: &Closed) -> std::io::Result<()> {
        Ok(())
    }
}

fn main() {}
