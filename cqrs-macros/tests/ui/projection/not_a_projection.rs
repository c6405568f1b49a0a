//! An application lists projections as such.

#[path = "../bank.rs"]
mod bank;
use bank::*;

application! {
    pub struct Bank {
        routers: [BankRouter],
        projections: [Handler, Handler],
    }
}

fn main() {}
