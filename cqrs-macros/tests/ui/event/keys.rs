//! Several mistakes in one attribute, each under its own token.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(nme = "A", version, name = "$all", aliases = ["Keys", "Old", "Old"], version = 2)]
struct Keys;

fn main() {}
