//! Each method says what its event does, and to which instances.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Silent;

#[process_manager(name = "silent", interested_in = [Opened])]
impl Silent {
    fn on_opened(&mut self, _: &Opened) {}
}

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Nobody;

#[process_manager(name = "nobody", interested_in = [Opened])]
impl Nobody {
    #[on(start)]
    fn on_opened(&mut self, _: &Opened) {}
}

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Unknown;

#[process_manager(name = "unknown", interested_in = [Opened], by = account_id)]
impl Unknown {
    #[on(begin)]
    fn on_opened(&mut self, _: &Opened) {}
}

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Strict;

#[process_manager(name = "strict", interested_in = [Opened], by = account_id)]
impl Strict {
    #[on(stop!)]
    fn on_opened(&mut self, _: &Opened) {}
}

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Both;

#[process_manager(name = "both", interested_in = [Opened])]
impl Both {
    #[on(start, continue, by = account_id)]
    #[on(stop)]
    fn on_opened(&mut self, _: &Opened) {}

    #[on(start)]
    fn on_error(&mut self, _: &ProcessFailure<std::convert::Infallible>) -> ProcessAction {
        ProcessAction::Skip
    }
}

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Fieldless;

#[process_manager(name = "fieldless", interested_in = [Opened], by = number)]
impl Fieldless {
    #[on(start)]
    fn on_opened(&mut self, _: &Opened) {}
}

fn main() {}
