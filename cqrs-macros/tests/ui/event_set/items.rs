//! What cannot be a set.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(EventSet)]
struct Struct;

#[derive(EventSet, Clone, Debug, PartialEq)]
enum Shapes {
    Nothing,
    Two(Opened, Closed),
    Named { opened: Opened },
    Opened(Opened),
}

#[derive(EventSet, Clone, Debug, PartialEq)]
enum Twice {
    First(Opened),
    Second(Opened),
}

fn main() {}
