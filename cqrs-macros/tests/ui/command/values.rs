//! Several wrong values, each under its own token.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Command, Serialize, Deserialize)]
#[command(
    router = BankRouter,
    aggregate = Account,
    identify_by = "id",
    prefix = "a-b",
    timeout = "soon",
    consistency = sometimes,
    consistency_timeout = 5,
    retry_attempts = "3",
    validate(all),
    name = "",
    router = BankRouter
)]
struct Close {
    id: u64,
}

fn main() {}
