//! A command dispatched to an application that does not list its router.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Router)]
struct OtherRouter;

application! {
    struct Other { routers: [OtherRouter] }
}

fn dispatch(other: &Other) {
    let _ = other.dispatch(Open { id: 1 });
}

fn main() {}
