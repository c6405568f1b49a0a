//! What the methods take and give.

#![allow(unused_variables, reason = "the signatures are the case")]

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Rows(MemoryRows<String, u64>);

#[projection(name = "rows", interested_in = [Opened, Closed])]
impl Rows {
    fn rows(&self) -> MemoryRows<String, u64> {
        self.0.clone()
    }

    async fn create(&self) {}

    async fn on_opened(&mut self, event: Opened, context: &EventContext) {}

    async fn on_closed(&self, event: &Closed, rows: &mut RowsMut<String, u64>, more: &mut u8) {}

    async fn on_error(&self, failure: &HandlerFailure<std::fmt::Error>) -> ErrorAction {
        ErrorAction::Skip
    }
}

fn main() {}
