//! An application without routers carries no commands.

#[path = "../bank.rs"]
mod bank;
use bank::*;

application! {
    struct Empty { routers: [] }
}

fn dispatch(empty: &Empty) {
    let _ = empty.dispatch(Open { id: 1 });
}

fn main() {}
