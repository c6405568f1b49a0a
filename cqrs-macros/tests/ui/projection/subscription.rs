//! What no stream can be named, and streams that are given twice.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Rows(MemoryRows<String, u64>);

#[projection(name = "rows", interested_in = [Opened], category = "account-1", stream = "")]
impl Rows {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}
}

fn main() {}
