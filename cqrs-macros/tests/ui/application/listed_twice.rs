//! Two entries of one type.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default)]
struct Layer;

impl Middleware for Layer {}

application! {
    struct Bank {
        routers: [BankRouter, BankRouter],
        event_handlers: [Handler, Handler],
        middleware: [Layer, Layer],
    }
}

fn main() {}
