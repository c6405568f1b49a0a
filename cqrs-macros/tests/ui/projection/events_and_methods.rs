//! Each event of the list has one method, and each method an event of the list.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Rows(MemoryRows<String, u64>);

#[projection(name = "rows", interested_in = [Opened, Open])]
impl Rows {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}

    async fn opened_again(&self, _: &Opened) {}

    async fn on_closed(&self, _: &Closed) {}
}

fn main() {}
