//! What cannot be an application.

#[path = "../bank.rs"]
mod bank;
use bank::*;

application! {
    pub enum Bank { routers: [BankRouter] }
}

application! {
    struct Generic<T> { routers: [] }
}

fn main() {}
