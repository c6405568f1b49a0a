//! What is redacted must be found in the JSON form of the command.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
#[command(router = BankRouter, aggregate = Account, identify_by = id, handler = Decider, redact = [secert, card.number])]
struct Pay {
    id: String,
    secret: String,
}

#[derive(Default)]
struct Decider;

#[command_handler]
impl Decider {
    #[execute]
    fn pay(&self, _: &Account, _: &Pay) {}
}

fn main() {}
