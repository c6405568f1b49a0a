//! What no stream can be named, and streams that are given twice.

#[path = "../bank.rs"]
mod bank;
use bank::*;

struct Both;

#[event_handler(name = "both", interested_in = [Opened], category = "account", stream = "account-1")]
impl Both {
    async fn on_opened(&self, _: &Opened) {}
}

struct OfOneAccount;

#[event_handler(name = "of-one-account", interested_in = [Opened], category = "account-1")]
impl OfOneAccount {
    async fn on_opened(&self, _: &Opened) {}
}

struct Empty;

#[event_handler(name = "empty", interested_in = [Opened], category = "")]
impl Empty {
    async fn on_opened(&self, _: &Opened) {}
}

struct Everything;

#[event_handler(name = "everything", interested_in = [Opened], stream = "$all")]
impl Everything {
    async fn on_opened(&self, _: &Opened) {}
}

struct Broken;

#[event_handler(name = "broken", interested_in = [Opened], stream = "account\n1")]
impl Broken {
    async fn on_opened(&self, _: &Opened) {}
}

struct Unquoted;

#[event_handler(name = "unquoted", interested_in = [Opened], category = account)]
impl Unquoted {
    async fn on_opened(&self, _: &Opened) {}
}

fn main() {}
