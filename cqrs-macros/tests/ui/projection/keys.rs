//! Unknown, missing and wrong keys.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Rows(MemoryRows<String, u64>);

#[projection(interested_in = [Opened], version = 0, start_from = origin, consistency = sometimes)]
impl Rows {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}
}

struct Nameless(MemoryRows<String, u64>);

#[projection(name = "")]
impl Nameless {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }
}

fn main() {}
