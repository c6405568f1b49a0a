//! Upcasters of an event that does not say its version, and chains with holes at their beginning and end.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(upcast(1 => |value| value, 2 => |value| value))]
struct Unversioned;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 3, upcast(1 => |value| value))]
struct WithoutLast;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 3, upcast(2 => |value| value))]
struct WithoutFirst;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 3, upcast(1 => |value| value, 2 => |value| value))]
struct Complete;

fn main() {}
