//! What no stream can be named, and streams that are given twice.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Confused;

#[process_manager(name = "confused", interested_in = [Opened], category = "", stream = "$account-1")]
impl Confused {
    #[on(with = whom)]
    fn on_opened(&mut self, _: &Opened) {}
}

fn whom(_: &Opened, _: &EventContext) -> Interest {
    Interest::none()
}

fn main() {}
