use std::time::Duration;

use crate::application::error::list;
use crate::application::{ApplicationState, StartError, StartFault};

/// Why a handler was not added to a running application.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddHandlerError {
    /// The application is stopping, or has stopped.
    #[error("application {application:?} is {state} and takes no more handlers")]
    NotRunning {
        /// The application's name.
        application: String,
        /// What it is doing.
        state: ApplicationState,
    },
    /// A handler of this name runs, or is just being added or removed.
    #[error(
        "application {application:?} has a handler {handler:?} already: remove that first, or give this one another name"
    )]
    NameTaken {
        /// The application's name.
        application: String,
        /// The handler's name.
        handler: String,
    },
    /// The projection is an inline one: appends that are under way know nothing of it, so that its rows would lack their
    /// events.
    #[error(
        "inline projection {handler:?} cannot be added while application {application:?} runs: give it to the builder"
    )]
    Inline {
        /// The application's name.
        application: String,
        /// The projection's name.
        handler: String,
    },
    /// The application was started without knowing these event types, and cannot read them.
    #[error(
        "application {application:?} does not know these events of handler {handler:?}: {}; register them with the builder's `register_events`",
        events.join(", ")
    )]
    UnknownEvents {
        /// The application's name.
        application: String,
        /// The handler's name.
        handler: String,
        /// The names of the events.
        events: Vec<&'static str>,
    },
    /// The handler is put together wrongly; all faults are listed.
    #[error("handler {handler:?} cannot be added to application {application:?}:{}", list(faults))]
    Invalid {
        /// The application's name.
        application: String,
        /// The handler's name.
        handler: String,
        /// What is wrong, all of it.
        faults: Vec<StartFault>,
    },
    /// What an application's start fails for as well: the handler's preparation, its partitions, the store.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// Why a handler was not removed, or not in peace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RemoveHandlerError {
    /// There is none of this name.
    #[error("application {application:?} has no handler {handler:?}")]
    Unknown {
        /// The application's name.
        application: String,
        /// The name.
        handler: String,
    },
    /// The projection is an inline one: its rows are written with the events as long as the application runs.
    #[error("inline projection {handler:?} cannot be removed while application {application:?} runs")]
    Inline {
        /// The application's name.
        application: String,
        /// The projection's name.
        handler: String,
    },
    /// The handler was busy with an event for too long and was ended there. It is removed; whoever runs it next handles the
    /// event again.
    #[error(
        "handler {handler:?} of application {application:?} did not finish its event within {limit:?} and was ended"
    )]
    CutOff {
        /// The application's name.
        application: String,
        /// The handler's name.
        handler: String,
        /// How long it was waited for.
        limit: Duration,
    },
}
