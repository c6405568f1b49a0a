//! Aggregates: pure state and rules, and the runtime that decides on their commands one at a time.
//!
//! A user sees [`Aggregate`], [`Execute`], the shapes that a decision may have ([`IntoEvents`], [`Events`],
//! [`Emitter`]), the settings ([`AggregateSettings`], [`SnapshotPolicy`], [`Lifespan`]) and moments of the past
//! ([`At`]). The rest is the runtime: an instance of an aggregate is a value with a bounded queue of jobs and, while
//! there are jobs, one task that runs them. An idle instance has no task.

mod append;
mod at;
mod chain;
mod decide;
mod emitter;
mod environment;
mod events;
mod execute;
mod failure;
mod instance;
mod job;
mod lifespan;
mod live;
mod registry;
mod repeat;
mod replay;
mod settings;
mod snapshots;
pub(crate) mod sweep;
mod worker;

pub use at::At;
pub use emitter::Emitter;
pub use events::{Events, IntoEvents};
pub use lifespan::{AggregateLifespan, DefaultLifespan, Lifespan};
pub use live::LiveAggregate;
pub use replay::ReplayError;
pub use settings::{AggregateDescription, AggregateSettings, SnapshotPolicy, StateCodec};

pub(crate) use environment::Environment;
pub(crate) use job::{Job, Order, Outcome, Progress, Replier, Success};
pub(crate) use live::AggregateRuntime;
pub(crate) use registry::Aggregates;

use std::error::Error;

use crate::command::CommandContext;
use crate::event::EventSet;

/// State and rules of one kind of thing, as `#[aggregate]` makes it.
///
/// Its state is what its events made of `Default::default()`. It does no input or output and looks at no
/// clock; what it needs from outside comes with the command, the [`CommandContext`] or a
/// [`CommandHandler`](crate::command::CommandHandler).
///
/// # By hand
/// ```
/// use cqrs_core::aggregate::Aggregate;
/// # use cqrs_core::event::{Event, EventSchema};
/// # #[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)] struct Opened;
/// # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
/// # cqrs_core::event::event_set_of_one!(Opened);
///
/// #[derive(Default, Clone)]
/// struct Account { open: bool }
///
/// impl Aggregate for Account {
///     type Event = Opened;
///     type Error = std::convert::Infallible;
///     const NAME: &'static str = "Account";
///     const STREAM_PREFIX: &'static str = "account";
///
///     fn apply(&mut self, _event: &Opened) {
///         self.open = true;
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate: add `#[cqrs::aggregate]` to its `impl` block",
    label = "not an aggregate"
)]
pub trait Aggregate: Default + Clone + Send + Sync + 'static {
    /// The events that it emits and applies.
    type Event: EventSet;

    /// Why it refuses a command.
    type Error: Error + Send + Sync + 'static;

    /// The name of its type, for messages and snapshots.
    const NAME: &'static str;

    /// What its stream ids begin with, before a `-`. It holds no `-` itself, and no other aggregate of the
    /// application has it.
    const STREAM_PREFIX: &'static str;

    /// Changes the state as the event says. It cannot refuse: what happened, happened.
    fn apply(&mut self, event: &Self::Event);

    /// Called before each execution of a command: a place for rules that all commands share.
    ///
    /// # Errors
    /// When no command is acceptable in this state.
    fn before_execute(&self, context: &CommandContext) -> Result<(), Self::Error> {
        let _ = context;
        Ok(())
    }

    /// Snapshots, lifespan, bounds.
    #[must_use]
    fn settings() -> AggregateSettings<Self> {
        AggregateSettings::new()
    }
}

/// Decides on commands of type `C`, as a method with `#[execute]` makes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not execute the command `{C}`: add a method with `#[execute]` that takes `&{C}` to its `#[aggregate]` block, or name a handler with `#[command(handler = ..)]`",
    label = "`{C}` is not executed by `{Self}`"
)]
pub trait Execute<C>: Aggregate {
    /// Emits the events that follow from `command` in this state, or refuses. Nothing is kept of a refused
    /// command, whatever was emitted before.
    ///
    /// # Errors
    /// When the rules say no.
    fn execute(
        &self,
        command: &C,
        emitter: &mut Emitter<'_, Self>,
        context: &CommandContext,
    ) -> Result<(), Self::Error>;
}
