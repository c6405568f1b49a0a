//! The type of a state is checked by the compiler, where it is named.

#[path = "../bank.rs"]
mod bank;
use bank::*;

pub struct NotKept;

pub struct Unkept;

#[event_handler(name = "unkept", interested_in = [Opened], state = NotKept)]
impl Unkept {
    fn on_opened(&self, _: &Opened) {}
}

pub struct Mistaken;

#[event_handler(name = "mistaken", interested_in = [Opened], state = u64)]
impl Mistaken {
    fn on_opened(&self, _: &Opened, _: &mut String) {}
}

fn main() {}
