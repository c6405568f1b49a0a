//! A decision gives an event that the aggregate does not apply.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone)]
struct Wallet;

#[aggregate]
impl Wallet {
    #[execute]
    fn open(&self, _: &Open) -> Result<(Opened, Option<Closed>), std::convert::Infallible> {
        Ok((Opened, Some(Closed)))
    }

    #[apply]
    fn opened(&mut self, _: &Opened) {}
}

fn main() {}
