//! T-368: what a process manager must say, and what it cannot say.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Lacking;

#[process_manager()]
impl Lacking {}

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Wrong;

#[process_manager(nme = "wrong", name = 3, interested_in = [Opened, Opened], idle_timeout = "1 day", consistency = weak)]
impl Wrong {
    #[on(start, by = account_id)]
    fn on_opened(&mut self, _: &Opened) {}
}

fn main() {}
