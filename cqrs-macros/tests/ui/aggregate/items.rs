//! What cannot be an aggregate.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[aggregate]
struct Struct;

#[derive(Default, Clone)]
struct Generic<T>(T);

#[aggregate]
impl<T> Generic<T> {
    #[apply]
    fn opened(&mut self, _: &Opened) {}
}

struct Trait;

#[aggregate]
impl Clone for Trait {
    fn clone(&self) -> Self {
        Trait
    }
}

fn main() {}
