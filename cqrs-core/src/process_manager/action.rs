use std::time::Duration;

use crate::handler::ErrorAction;

/// What becomes of an event, a deadline or a command of a process manager that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessAction {
    /// It is tried again at once.
    Retry,
    /// It is tried again after this time. Later events of the instance wait behind an event, later commands of the
    /// instance behind a command.
    RetryAfter(Duration),
    /// It counts as done, and what is behind it goes on.
    Skip,
    /// It counts as done, and the commands of the instance that have not been sent are dropped. To go on with other
    /// ones, send them in [`on_error`](crate::process_manager::ProcessManager::on_error).
    DiscardPending,
    /// The process is given up: commands that have not been sent are dropped, the compensations of those that were
    /// carried out ([`Sending::compensate`](crate::process_manager::Sending::compensate)) are sent, the last one first,
    /// then what [`on_error`](crate::process_manager::ProcessManager::on_error) has sent; in the end the instance is gone.
    /// Commands that may have been carried out without anybody knowing are awaited first, to be undone as well. Events
    /// pass it by meanwhile, and its deadlines and scheduled commands are dropped. An instance that is gone, or
    /// compensates already, is parked instead.
    Compensate,
    /// It is set aside until somebody says what is to be done with it: an event together with the later events of its
    /// instance, a command with the later commands of its instance. Other instances go on.
    Park,
    /// The process manager stops, until the application is started again.
    Stop,
}

impl From<ErrorAction> for ProcessAction {
    fn from(action: ErrorAction) -> Self {
        match action {
            ErrorAction::Retry => Self::Retry,
            ErrorAction::RetryAfter(delay) => Self::RetryAfter(delay),
            ErrorAction::Skip => Self::Skip,
            ErrorAction::Park => Self::Park,
            ErrorAction::Stop => Self::Stop,
        }
    }
}
