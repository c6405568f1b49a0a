//! Events come to one method each, or all of them to `on_batch`.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum BankEvent {
    Opened(Opened),
}

struct Both(MemoryRows<String, u64>);

#[projection(name = "both", interested_in = [Opened], events = BankEvent, partition_by = id)]
impl Both {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}
}

struct Listed(MemoryRows<String, u64>);

#[projection(name = "listed", interested_in = [])]
impl Listed {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_batch(&self, events: &[Projected<BankEvent>]) {
        let _ = events;
    }
}

fn main() {}
