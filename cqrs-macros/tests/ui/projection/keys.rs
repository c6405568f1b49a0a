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

struct Divided(MemoryRows<String, u64>);

#[projection(name = "divided", interested_in = [Opened], rebuild_partitions = 0)]
impl Divided {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}
}

struct Shattered(MemoryRows<String, u64>);

#[projection(name = "shattered", interested_in = [Opened], rebuild_partitions = 1_025)]
impl Shattered {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}
}

struct Unsure(MemoryRows<String, u64>);

#[projection(name = "unsure", interested_in = [Opened], rebuild_partitions = "many")]
impl Unsure {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened) {}
}

fn main() {}
