//! What methods take and give.

#[path = "../bank.rs"]
mod bank;
use bank::*;

#[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
struct Shapes;

#[process_manager(name = "shapes", interested_in = [Opened, Closed], by = account_id, idle_timeout = "1h")]
impl Shapes {
    #[on(start)]
    fn on_opened(&self, _: &Opened, _: &Process) {}

    #[on(stop)]
    fn on_closed(&mut self, _: Closed) -> bool {
        true
    }

    fn on_deadline(&mut self, _: String) {}

    fn after_command(&mut self) -> bool {
        true
    }

    fn on_error(&mut self, _: &HandlerFailure<std::convert::Infallible>) -> ErrorAction {
        ErrorAction::Skip
    }
}

fn main() {}
