use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// What a handler is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandlerState {
    /// It has not begun yet.
    Starting,
    /// It handles events, or waits for some.
    Running,
    /// Another node handles its events. This one takes over when that one stops or is not heard of any more.
    Passive,
    /// It handles nothing until it is resumed.
    Paused,
    /// An event failed and will be tried again, or the store could not tell which node is to run the handler, and
    /// will be asked again.
    Retrying,
    /// It crashed and will be started again.
    Restarting,
    /// It gave up at an event, and stays there until the application is started again, or until it is
    /// [removed](crate::application::Running::remove_handler) and added again. Another node may run it meanwhile, and try
    /// the event; a strong dispatch on this one does not wait for that.
    Failed,
    /// It was stopped with the application.
    Stopped,
}

impl HandlerState {
    /// Whether it will not come further by itself.
    #[must_use]
    pub fn is_down(self) -> bool {
        matches!(self, Self::Failed | Self::Paused | Self::Stopped)
    }
}

impl HandlerState {
    /// How much of a reason to look: the state of what consists of several is the one with the highest.
    pub(crate) fn trouble(self) -> u8 {
        match self {
            Self::Passive => 0,
            Self::Running => 1,
            Self::Starting => 2,
            Self::Paused => 3,
            Self::Retrying => 4,
            Self::Restarting => 5,
            Self::Stopped => 6,
            Self::Failed => 7,
        }
    }
}

impl fmt::Display for HandlerState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Passive => "passive",
            Self::Paused => "paused",
            Self::Retrying => "retrying",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        })
    }
}

/// A handler, or one partition of a handler, for people who look. Of a handler with partitions the state is the most
/// troubled of theirs, the position is the lowest, and what is parked counts together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: HandlerState,
    /// The position up to which nothing is left for it to handle; as far as this node knows, when the handler is
    /// passive here.
    pub position: u64,
    /// How far that is from the end of the log.
    pub lag: u64,
    /// How long ago the oldest event was stored that it has not handled, by the application's clock; zero when there is
    /// none, `None` while the log cannot be read.
    pub lag_time: Option<Duration>,
    /// How many keys are parked; as far as this node knows, when the handler is passive here.
    pub parked: usize,
    /// The error of its last failure, until it handles an event again.
    pub last_error: Option<String>,
}

/// What a handler tells about itself while it runs.
#[derive(Clone, Debug)]
pub(crate) struct HandlerProgress {
    pub(crate) state: HandlerState,
    /// It is passive here, and paused on the node that runs it.
    pub(crate) is_paused_elsewhere: bool,
    /// How often this node has looked at what the one that runs it has come to.
    pub(crate) looks: u64,
    /// Everything up to here is handled.
    pub(crate) position: u64,
    /// The lowest position of which it has commands that are not carried out yet.
    pub(crate) unsent: Option<u64>,
    pub(crate) parked: usize,
    pub(crate) last_error: Option<Arc<str>>,
}

impl HandlerProgress {
    /// That of a handler that has not begun.
    pub(crate) fn sender() -> watch::Sender<Self> {
        watch::Sender::new(Self {
            state: HandlerState::Starting,
            is_paused_elsewhere: false,
            looks: 0,
            position: 0,
            unsent: None,
            parked: 0,
            last_error: None,
        })
    }
}
