//! Types that are no events, where events are needed.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plain;

#[derive(Default, Clone)]
struct Wallet;

#[aggregate]
impl Wallet {
    #[apply]
    fn plain(&mut self, _: &Plain) {}
}

struct Reaction;

#[event_handler(name = "reaction", interested_in = [Plain])]
impl Reaction {
    async fn on_plain(&self, _: &Plain) {}
}

#[derive(EventSet, Clone, Debug, PartialEq)]
enum Set {
    Plain(Plain),
}

fn main() {}
