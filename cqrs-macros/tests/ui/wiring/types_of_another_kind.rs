//! Types that are not what the place needs.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Plain;

#[derive(Command, Serialize, Deserialize)]
#[command(router = Plain, aggregate = Account, identify_by = id, handler = Plain)]
struct OfNoRouter {
    id: u64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Plain, identify_by = id)]
struct OfNoAggregate {
    id: u64,
}

#[derive(Router)]
#[router(middleware = [Plain], includes = [Plain])]
struct OddRouter;

application! {
    struct Odd { routers: [Plain], event_handlers: [Plain], middleware: [Plain] }
}

fn main() {}
