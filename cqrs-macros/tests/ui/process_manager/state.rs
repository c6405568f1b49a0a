//! The state is kept, and begins as a default.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Unkept;

#[process_manager(name = "unkept", interested_in = [Opened])]
impl Unkept {
    #[on(start, by = account_id)]
    fn on_opened(&mut self, _: &Opened) {}
}

struct NoManager;

application! {
    struct Listed { routers: [], process_managers: [NoManager] }
}

fn main() {}
