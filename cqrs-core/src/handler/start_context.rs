use std::sync::{Arc, Weak};

use crate::application::{Application, Core, Running};
use crate::handler::{HandlerRunner, Partition};

/// What a handler is told when it is about to handle events on this node:
/// [`EventHandler::after_start`](crate::handler::EventHandler::after_start).
#[derive(Clone, Debug)]
pub struct StartContext {
    application: Arc<str>,
    handler: Arc<str>,
    partition: Partition,
    position: u64,
    core: Weak<Core>,
}

impl StartContext {
    pub(crate) fn of(runner: &HandlerRunner) -> Self {
        Self {
            application: Arc::clone(&runner.application),
            handler: Arc::clone(&runner.handler),
            partition: runner.partition,
            position: runner.position(),
            core: runner.core.clone(),
        }
    }

    /// The application that the handler runs in, as [`EventContext::app`](crate::event::EventContext::app) gives it. What
    /// is dispatched here is caused by no event, and a dispatch that waits for the handler itself waits in vain.
    #[must_use]
    pub fn app<A: Application>(&self) -> Option<A> {
        Running::inside(self.core.upgrade()?).map(A::from_running)
    }

    /// The name of the application instance.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// The name of the handler.
    #[must_use]
    pub fn handler(&self) -> &str {
        &self.handler
    }

    /// Which of the handler's partitions it is, counted from 0.
    #[must_use]
    pub fn partition(&self) -> u16 {
        self.partition.index
    }

    /// How many partitions the handler has; 1 if it is not divided.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        self.partition.count
    }

    /// The position behind which it begins or goes on.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}
