//! A key that stands alone, once.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Valued(MemoryRows<String, u64>);

#[projection(name = "valued", interested_in = [Opened], inline = true)]
impl Valued {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}
}

struct Twice(MemoryRows<String, u64>);

#[projection(name = "twice", interested_in = [Opened], inline, inline)]
impl Twice {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}
}

fn main() {}
