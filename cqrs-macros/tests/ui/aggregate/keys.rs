//! Several mistakes in one attribute, each under its own token.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone, Serialize, Deserialize)]
struct Wallet;

#[aggregate(stream_prefix = "my-wallet", snapshot_every = 5, state_stored, eror = Wallet, mailbox, name = 5)]
impl Wallet {
    #[apply]
    fn opened(&mut self, _: &Opened) {}
}

#[derive(Default, Clone)]
struct NoSnapshots;

#[aggregate(snapshot_version = 2)]
impl NoSnapshots {
    #[apply]
    fn opened(&mut self, _: &Opened) {}
}

fn main() {}
