//! The methods are given what the rows are written through.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Rows(MemoryRows<String, u64>);

#[projection(name = "rows", interested_in = [Opened])]
impl Rows {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_opened(&self, _: &Opened, rows: &mut MemoryRows<String, u64>) {
        let _ = rows;
    }
}

fn main() {}
