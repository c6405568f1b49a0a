//! N-030: unknown, missing, repeated and wrong keys.

#[path = "../bank.rs"]
mod bank;
use bank::*;

application! {
    struct Bank {
        routers: [BankRouter],
        handlers: [Handler],
        routers: [],
        name = "bank",
        timeout: 5,
    }
}

application! {
    struct WithoutRouters {}
}

fn main() {}
