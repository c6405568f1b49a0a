//! A projection tells where its rows lie.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Rows;

#[projection(name = "rows", interested_in = [Opened])]
impl Rows {
    async fn on_opened(&self, _: &Opened) {}
}

fn main() {}
