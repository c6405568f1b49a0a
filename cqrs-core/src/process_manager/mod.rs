//! Process managers: what goes on over several aggregates, and for longer than one command.

mod action;
mod admit;
mod command;
mod consumer;
mod due;
mod failure;
mod handle;
mod instance;
mod interest;
mod long_ago;
mod manage;
mod outbox;
mod process;
mod route;
mod sending;
mod settle;
mod step;
mod timer;

pub use action::ProcessAction;
pub use command::SentCommand;
pub use failure::{ProcessError, ProcessFailure};
pub use handle::{PendingCommand, PendingTimer, ProcessInstance, ProcessManagerHandle, StuckError};
pub use instance::{ProcessPhase, ProcessStep};
pub use interest::{Interest, Role};
pub use process::Process;
pub use sending::Sending;

pub(crate) use command::{Content, first_unsent, has_stuck};
#[cfg(feature = "testing")]
pub(crate) use instance::INSTANCE;
pub(crate) use manage::Managing;
pub(crate) use route::route;
pub(crate) use step::{Caller, Occasion};
pub(crate) use timer::{TIMER, Timer};

/// What the testing kit calls process managers with.
#[cfg(feature = "testing")]
pub(crate) use {
    admit::{Admitted, admit},
    command::Pending,
    instance::{Instance, Undo},
    interest::invalid_instance,
    settle::is_transient,
    step::{Attempt, Failed, Outcome as StepOutcome, TimerOutcome},
};

use std::error::Error;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::{EventContext, EventSet};
use crate::handler::{HandlerConsistency, RetryPolicy, StartFrom, SubscribeTo};

/// Coordinates work that takes several commands, as `#[process_manager]` makes it.
///
/// Each event leads to some instances, such as the transfer that it belongs to. An instance has a state (this type),
/// which begins as `Default`; handling an event changes it, and says which commands are to be sent ([`Process::send`]).
/// State, commands and checkpoint are written at once, and only then the commands are sent, in their order within an
/// instance and side by side between instances, with ids that come from the instance and the event: a crash neither loses
/// a command nor carries one out twice.
///
/// An event or command that fails is tried again, and in the end set aside together with what belongs to its
/// instance, while other instances go on: see [`ProcessManager::on_error`].
///
/// # By hand
/// ```
/// use cqrs_core::event::EventContext;
/// use cqrs_core::process_manager::{Interest, Process, ProcessManager};
/// # use cqrs_core::event::{Event, EventSchema};
/// # #[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)] struct Ordered { order: String }
/// # impl Event for Ordered { const SCHEMA: &'static EventSchema = &EventSchema::new("Ordered", 1); }
/// # cqrs_core::event::event_set_of_one!(Ordered);
///
/// #[derive(Default, Clone, serde::Serialize, serde::Deserialize)]
/// struct Fulfilment {
///     is_paid: bool,
/// }
///
/// impl ProcessManager for Fulfilment {
///     const NAME: &'static str = "fulfilment";
///     type Event = Ordered;
///     type Error = std::convert::Infallible;
///
///     fn interest(event: &Ordered, _context: &EventContext) -> Interest {
///         Interest::start([&event.order])
///     }
///
///     async fn handle(&mut self, _event: Ordered, process: &mut Process) -> Result<(), Self::Error> {
///         process.deadline_in("payment", std::time::Duration::from_secs(3_600));
///         Ok(())
///     }
/// }
/// ```
///
/// # Cancel safety
/// The future of a method is dropped when it takes longer than
/// [`Config::handling_limit`](crate::application::Config::handling_limit), 60 s unless set, which counts as a failure
/// ([`ProcessError::TimedOut`]); and when the application's shutdown deadline passes: what it was called for comes again at the
/// next start. Instances that are at work at the same time wait for each other at the end of their events.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process manager: add `#[cqrs::process_manager(name = .., interested_in = [..])]` to its `impl` block",
    label = "not a process manager"
)]
pub trait ProcessManager:
    Clone + Default + Serialize + DeserializeOwned + Send + Sync + Sized + 'static
{
    /// The name under which its progress and its instances are kept. Renaming a process manager makes it a new one.
    const NAME: &'static str;

    /// Where it begins when it has never run.
    const START_FROM: StartFrom = StartFrom::Origin;

    /// Whether a dispatch with strong consistency waits for it: until the event is handled, and the commands that came
    /// of it are carried out.
    const CONSISTENCY: HandlerConsistency = HandlerConsistency::Eventual;

    /// The streams whose events it is interested in.
    const SUBSCRIBE_TO: SubscribeTo = SubscribeTo::All;

    /// After which time without an event, deadline or command of its own an instance is told so
    /// ([`ProcessManager::on_idle`]); never unless set.
    const IDLE_TIMEOUT: Option<Duration> = None;

    /// Whether [`ProcessManager::after_command`] does something: to call it takes reading the instance, which may have
    /// left memory.
    const AFTER_COMMAND: bool = false;

    /// The events that it is interested in.
    type Event: EventSet;

    /// Why it fails.
    type Error: Error + Send + Sync + 'static;

    /// Which instances an event leads to. It must depend on nothing but the event and its context. A panic counts as a
    /// failure of the event, and so does an identity of more than 255 bytes or with a NUL character ([`ProcessError::InvalidInstance`]): the event is
    /// parked by its stream then.
    fn interest(event: &Self::Event, context: &EventContext) -> Interest;

    /// Handles an event: changes the state, and says what is to be sent. Nothing of that remains when it fails.
    fn handle(
        &mut self,
        event: Self::Event,
        process: &mut Process,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// A deadline has passed that the instance has set ([`Process::deadline`]).
    fn on_deadline(
        &mut self,
        name: &str,
        process: &mut Process,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = (name, process);
        async { Ok(()) }
    }

    /// Nothing has happened to the instance for [`ProcessManager::IDLE_TIMEOUT`]. It is told again after as much time.
    fn on_idle(&mut self, process: &mut Process) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = process;
        async { Ok(()) }
    }

    /// A command was carried out. [`ProcessManager::AFTER_COMMAND`] must be set for this to be called. When it panics or
    /// takes too long, that is logged, and nothing of what it did remains.
    fn after_command(
        &mut self,
        command: &SentCommand,
        process: &mut Process,
    ) -> impl Future<Output = ()> + Send {
        let _ = (command, process);
        async {}
    }

    /// Decides what becomes of an event, a deadline or a command that failed. It is not asked about a command that the
    /// store could not read for, write, or tell the outcome of: that one is sent again until the store has said what came
    /// of it. What it changes and sends counts unless the same is to be tried again. When it panics or takes too long,
    /// [`ProcessAction::Park`] is done.
    ///
    /// By default the [`RetryPolicy::default`] decides: what may succeed later is tried again with growing delays, and
    /// parked in the end; what cannot, such as a command that its aggregate refuses, is parked at once.
    fn on_error(
        &mut self,
        failure: &ProcessFailure<Self::Error>,
        process: &mut Process,
    ) -> impl Future<Output = ProcessAction> + Send {
        let _ = process;
        let action = RetryPolicy::default().decide(failure).into();
        async move { action }
    }
}
