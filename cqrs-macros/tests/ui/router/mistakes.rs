//! Lists, keys and items. That two routers list one command (T-053) cannot be written: a command names its
//! router. What can be repeated is an entry.

#![allow(unused_variables, reason = "the signatures are the case")]

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default)]
struct Layer;

impl Middleware for Layer {}

#[derive(Router)]
#[router(middleware = [Layer, Layer], includes = [BankRouter, BankRouter, Lists], layers = [Layer])]
struct Lists;

#[derive(Router)]
enum Enum {}

#[derive(Router)]
struct Generic<T>(T);

fn main() {}
