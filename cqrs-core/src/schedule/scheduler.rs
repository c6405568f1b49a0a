use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use crate::event::{EventContext, EventSchema, EventSet, Payload};
use crate::process_manager::{Interest, Process, ProcessManager};

/// Carries out scheduled commands: list it among the process managers of an application that schedules some.
///
/// It is a process manager that handles no events. One node runs it at a time, by a lease. A command that is due is
/// written down as one that is to be sent, in one step with forgetting that it was due, and is sent under an id of its
/// own: it is carried out once, also when the node dies. One that its aggregate refuses is set aside, and so is in the end
/// one with which that panics or takes too long ([`RetryPolicy::default`](crate::handler::RetryPolicy)). Others go
/// on: [`Running::process_manager`](crate::application::Running::process_manager) with [`Scheduler::NAME`] lists those,
/// tries them again, or leaves them out. Of a command that recurs each time is set aside by itself, and the latest 100 are
/// kept: when there is one more, the earliest is given up, with a warning in the log.
///
/// ```
/// # mod cqrs { pub use cqrs_core::*; }
/// use cqrs_core::application::Definition;
/// use cqrs_core::schedule::Scheduler;
///
/// let definition = Definition::new().process_manager::<Scheduler>();
/// # let _ = definition;
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Scheduler {}

/// How many times of a scheduled command that recurs are kept that were set aside.
pub(crate) const TIMES_SET_ASIDE: usize = 100;

/// No event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(hidden)]
pub enum Nothing {}

impl EventSet for Nothing {
    fn schemas() -> Vec<&'static EventSchema> {
        Vec::new()
    }

    fn schema(&self) -> &'static EventSchema {
        match *self {}
    }

    fn decode(_schema: &EventSchema, _payload: Payload<'_>) -> Result<Option<Self>, serde_json::Error> {
        Ok(None)
    }

    fn encode(&self) -> Result<bytes::Bytes, serde_json::Error> {
        match *self {}
    }
}

impl ProcessManager for Scheduler {
    const NAME: &'static str = "cqrs.scheduler";
    type Event = Nothing;
    type Error = Infallible;

    fn interest(event: &Nothing, _context: &EventContext) -> Interest {
        match *event {}
    }

    async fn handle(&mut self, event: Nothing, _process: &mut Process) -> Result<(), Infallible> {
        match event {}
    }
}
