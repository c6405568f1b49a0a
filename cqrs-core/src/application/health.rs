use std::fmt;

use crate::handler::{HandlerState, HandlerStatus};
use crate::memory_pressure::MemoryStatus;

/// What an application instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ApplicationState {
    /// It does not take commands yet.
    Starting,
    /// It takes commands.
    Running,
    /// It takes no more commands and finishes what it accepted.
    ShuttingDown,
    /// It is over.
    Stopped,
}

impl fmt::Display for ApplicationState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::ShuttingDown => "shutting down",
            Self::Stopped => "stopped",
        })
    }
}

/// How an application instance is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Its name.
    pub application: String,
    /// What it is doing.
    pub state: ApplicationState,
    /// Its handlers.
    pub handlers: Vec<HandlerStatus>,
    /// How many aggregates are in memory.
    pub live_aggregates: usize,
    /// How memory is, and how many aggregates have left it for its sake.
    pub memory: MemoryStatus,
    /// How many dispatches are under way.
    pub dispatches: usize,
}

impl Health {
    /// Whether the application runs and no handler is in trouble. One that runs on another node is not.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        let fine = |handler: &HandlerStatus| {
            matches!(handler.state, HandlerState::Starting | HandlerState::Running | HandlerState::Passive)
        };
        self.state == ApplicationState::Running && self.handlers.iter().all(fine)
    }
}
