//! Event handlers: reactions to events, each with its own place in the log, its own task and its own fate.

pub(crate) mod attempt;
mod batch;
mod board;
pub(crate) mod consumer;
mod control;
mod effects;
mod entry;
mod envelope;
mod failure;
mod handle;
mod kept_state;
mod lag;
mod order;
mod orders;
mod own_state;
mod park;
pub(crate) mod parked;
pub(crate) mod partition;
mod policy;
mod react;
pub(crate) mod reaction;
pub(crate) mod repartition;
mod reset;
mod retry;
mod runner;
pub(crate) mod spread;
mod standby;
mod start;
mod start_context;
pub(crate) mod status;
mod subscribe_to;
mod tenure;
mod waiters;
pub(crate) mod worker;

pub use effects::OnceError;
pub use entry::HandlerEntry;
pub use envelope::Envelope;
pub use failure::{ErrorAction, HandlerError, HandlerFailure};
pub use handle::{HandlerHandle, ParkedError};
pub use kept_state::KeptState;
pub use parked::ParkedKey;
pub use policy::RetryPolicy;
pub use start::InitError;
pub use start_context::StartContext;
pub use status::{HandlerState, HandlerStatus};
pub use subscribe_to::{InvalidSubscription, SubscribeTo};

pub(crate) use attempt::Failed;
pub(crate) use board::{Awaited, Entry, HandlerBoard, Part};
pub(crate) use consumer::Consumer;
pub(crate) use control::HandlerControl;
pub(crate) use effects::{Effects, label_of};
pub(crate) use entry::{HandlerDefinition, Role, StartHandler};
#[cfg(feature = "testing")]
pub(crate) use order::ORDER;
pub(crate) use order::Order;
pub(crate) use own_state::OwnState;
pub(crate) use park::Committed;
pub(crate) use parked::{PARKED, is_key, storable};
pub(crate) use partition::{KeysOf, Partition, Partitioner};
pub(crate) use policy::Failure;
pub(crate) use retry::Retry;
pub(crate) use runner::HandlerRunner;
pub(crate) use status::HandlerProgress;
pub(crate) use tenure::{LastTenure, Tenure};
pub(crate) use waiters::Waiters;
pub(crate) use worker::End;

use std::error::Error;
use std::time::Duration;

use crate::event::{EventContext, EventSet};

/// Where a handler begins that has never run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StartFrom {
    /// At the first event of the log.
    #[default]
    Origin,
    /// At the first event after the application was started that ran the handler for the first time.
    Current,
    /// At the first event behind this position.
    Position(u64),
}

/// Whether a dispatch with strong consistency waits for a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HandlerConsistency {
    /// It does not, unless it names the handler.
    #[default]
    Eventual,
    /// It does, when the handler is interested in one of the events, and subscribed to their stream.
    Strong,
}

/// Reacts to events, as `#[event_handler]` makes it.
///
/// Each event is handled at least once, in the order of the log, one at a time; a handler that fails or is
/// slow delays no other. Of several nodes one runs the handler; events that it had handled and not noted down when it
/// was cut off are handled again by the next. Commands that it dispatches are caused by the event and belong together with it.
/// The instance is given to the application's builder, or made by `Default`; what its fields keep lasts as long as the
/// application runs. What is to last longer is its [`State`](EventHandler::State).
///
/// # By hand
/// ```
/// use cqrs_core::event::EventContext;
/// use cqrs_core::handler::EventHandler;
/// # use cqrs_core::event::{Event, EventSchema};
/// # #[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)] struct Opened;
/// # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
/// # cqrs_core::event::event_set_of_one!(Opened);
///
/// struct WelcomeEmail;
///
/// impl EventHandler for WelcomeEmail {
///     const NAME: &'static str = "welcome-email";
///     type Event = Opened;
///     type State = ();
///     type Error = std::io::Error;
///
///     async fn handle(&self, _: Opened, _: &mut (), context: &EventContext) -> Result<(), Self::Error> {
///         println!("welcome, {}", context.aggregate_id());
///         Ok(())
///     }
/// }
/// ```
///
/// # Cancel safety
/// The future of a method is dropped when it takes longer than
/// [`Config::handling_limit`](crate::application::Config::handling_limit), 60 s unless set, which counts as a failure
/// ([`HandlerError::TimedOut`]); and when the application's shutdown deadline passes: the event is then handled again at the
/// next start.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event handler: add `#[cqrs::event_handler(interested_in = [..])]` to its `impl` block",
    label = "not an event handler"
)]
pub trait EventHandler: Send + Sync + Sized + 'static {
    /// The name under which its progress is kept. Renaming a handler makes it a new one.
    const NAME: &'static str;

    /// Where it begins when it has never run.
    const START_FROM: StartFrom = StartFrom::Origin;

    /// Whether a dispatch with strong consistency waits for it.
    const CONSISTENCY: HandlerConsistency = HandlerConsistency::Eventual;

    /// What it is subscribed to: the events that it is interested in are those of its types among these.
    const SUBSCRIBE_TO: SubscribeTo = SubscribeTo::All;

    /// Into how many partitions it is divided, 1 to 1,024. Each has its own place in the log, its own lease and its own
    /// fate, and handles the events whose keys ([`EventHandler::partition_by`]) fall to it: events of different
    /// partitions are handled side by side, on all nodes that run the application, which share them evenly. A strong
    /// dispatch waits for all of them. `max_parked` holds for each.
    ///
    /// When the number is changed, the nodes that run the handler are to be stopped first: a start is refused otherwise.
    /// All begin where the one had come to that was behind the others, so that some events are handled again. A handler
    /// with a [state](EventHandler::State) cannot be divided anew, since nobody can tell which part of a state is whose:
    /// pause and reset it before, with the number that it has.
    const PARTITIONS: u16 = 1;

    /// How many events it is given at once, at most.
    const BATCH_SIZE: usize = 1;

    /// How long it waits for a batch to become full when it has come to the end of the log.
    const BATCH_TIME: Duration = Duration::ZERO;

    /// The events that it is interested in.
    type Event: EventSet;

    /// What it keeps between events; `()` if nothing. It is the store that keeps it, and each event changes it once,
    /// however often that is handled.
    ///
    /// It begins as its default, belongs to the handler (of one with partitions, each has its own), and is written, as
    /// JSON, together with the position in the log: with the checkpoint, up to 1,000 events or a second later. An attempt
    /// at an event changes a copy, which counts when it has passed. What was parked and is tried again changes the state
    /// of that day. When the handler begins anew, so does its state.
    ///
    /// The whole state is copied for each event and written with each checkpoint: what grows with the log belongs
    /// into a [projection](crate::projection::Projection). A state that cannot be read, because its type has changed, stops
    /// the handler before it handles anything; new fields need `#[serde(default)]`.
    type State: KeptState;

    /// Why it fails.
    type Error: Error + Send + Sync + 'static;

    /// Reacts to one event. What it makes of `state` counts if it passes.
    fn handle(
        &self,
        event: Self::Event,
        state: &mut Self::State,
        context: &EventContext,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Reacts to several events, up to [`EventHandler::BATCH_SIZE`] of them, in the order of the log; is called instead of
    /// [`EventHandler::handle`] when that is more than 1. They are acknowledged together. When it fails, each event is
    /// given to [`EventHandler::handle`] by itself, with retries and parking, so that one bad event does not keep the others;
    /// what the batch has done of them by then is done again. Commands that it dispatches are caused by the first event of the batch.
    fn handle_batch(
        &self,
        events: &[Envelope<Self::Event>],
        state: &mut Self::State,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async move {
            for envelope in events {
                self.handle(envelope.event.clone(), state, &envelope.context).await?;
            }
            Ok(())
        }
    }

    /// What keeps the order among events: those of one key are handled one after the other, and wait behind one of
    /// them that is parked. By default the stream, as for an event with which this panics. An event with a
    /// key that no database keeps, of more than 255 bytes or with a NUL character, goes by its stream, too, and that is logged.
    fn partition_by(&self, event: &Self::Event, context: &EventContext) -> String {
        let _ = event;
        context.stream_id().as_str().to_owned()
    }

    /// Prepares the handler: is called once for each application instance, on every node, when it starts, before anything
    /// runs. Handlers are asked one after the other, in the order in which they are listed. When one fails or panics, the
    /// application does not start ([`StartError::Init`](crate::application::StartError::Init)); what others have prepared
    /// is left to themselves.
    fn init(&self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Is called when this node is about to handle events: each time that it has become the owner of the handler, or of
    /// one of its partitions, and once more when the handler has begun anew, before the first event. A handler with
    /// partitions is told which one it is. When this fails or panics, it is tried again, after pauses that grow from 50 ms
    /// to 5 s, and no event is handled before it has passed.
    ///
    /// # Cancel safety
    /// The future is dropped when the application stops, and when this node is not the owner any more.
    fn after_start(&self, context: &StartContext) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = context;
        async { Ok(()) }
    }

    /// Is called before the handler begins anew ([`HandlerHandle::reset`]), to clear what it has made so far. When it
    /// fails, the handler is not reset and goes on where it is.
    fn before_reset(&self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        async { Ok(()) }
    }

    /// Decides what becomes of an event that could not be handled. By default the
    /// [`RetryPolicy::default`] decides: it is tried again with growing delays, and in the end its key is parked
    /// while everything else goes on. When it panics or takes too long itself, the handler stops.
    fn on_error(&self, failure: &HandlerFailure<Self::Error>) -> impl Future<Output = ErrorAction> + Send {
        let action = RetryPolicy::default().decide(failure);
        async move { action }
    }
}
