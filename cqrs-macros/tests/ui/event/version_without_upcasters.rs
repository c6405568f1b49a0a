//! A version above 1 needs all its upcasters.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 2)]
struct Second;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 4, upcast(2 => |value| value))]
struct Fourth;

fn main() {}
