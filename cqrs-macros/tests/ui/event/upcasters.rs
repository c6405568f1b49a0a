//! Upcasters of the wrong versions, and of the wrong type.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 2, upcast(0 => f, 1 => f, 1 => f, 2 => f))]
struct Versions;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 2, upcast(1 => gives_text))]
struct Gives;

fn gives_text(_: serde_json::Value) -> String {
    String::new()
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 2, upcast(1 => takes_text))]
struct Takes;

fn takes_text(_: String) -> serde_json::Value {
    serde_json::Value::Null
}

fn main() {}
