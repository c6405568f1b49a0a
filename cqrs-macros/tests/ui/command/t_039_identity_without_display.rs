//! What identifies the aggregate has to be shown.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = id, handler = Decider)]
struct Close {
    id: Vec<u8>,
}

#[derive(Default)]
struct Decider;

#[command_handler]
impl Decider {
    #[execute]
    fn close(&self, _: &Account, _: &Close) {}
}

fn main() {}
