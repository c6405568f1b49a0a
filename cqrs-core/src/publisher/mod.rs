//! The integration outbox: publishers hand events to a message broker, in the order of the log, and note down how far the
//! broker has confirmed them.
//!
//! The log itself is the outbox. An event is stored together with everything that its command changed, and from then on
//! a publisher finds it, whatever happens to the process or the broker in between; there is no second table to write to.

mod attempt;
mod entry;
mod failure;
mod integration_event;
mod limits;
mod message;
mod publishing;
mod queue;
mod retry;

pub use failure::{PublishError, PublishFailure};
pub use integration_event::IntegrationEvent;
pub use limits::BatchLimits;
pub use message::Message;

use std::error::Error;

use crate::event::{EventContext, EventSet};
use crate::handler::{ErrorAction, HandlerConsistency, StartFrom, SubscribeTo};

/// Hands events to a message broker.
///
/// It is a handler with its own place in the log: of several nodes one runs it, [`Running::handler`] pauses, resumes and
/// resets it, and a dispatch waits for it if told so. What it guarantees:
///
/// - **Nothing is lost, nothing is passed over.** The checkpoint stands behind the last message that the broker has
///   confirmed with all before it. A broker that is away stops the publisher, for as long as it is away: it tries
///   again for ever, at least every 30 s, and is [retrying](crate::handler::HandlerState::Retrying) in its status
///   meanwhile.
/// - **In order.** Messages go out in the order of the log. Only what the publisher itself parks or skips
///   ([`Publisher::on_error`]) lets others past.
/// - **At least once, under one id.** What was published and not confirmed is published again, at most what lies behind
///   the last checkpoint, with the same [`Message::id`]: whoever receives it, or the broker, knows it again.
///
/// # By hand
/// ```
/// use cqrs_core::event::EventContext;
/// use cqrs_core::publisher::{Confirmed, IntegrationEvent, Message, Publisher};
/// # use cqrs_core::event::{Event, EventSchema};
/// # #[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)] struct Opened { owner: String }
/// # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
/// # cqrs_core::event::event_set_of_one!(Opened);
/// # struct Client;
/// # impl Client { async fn send(&self, _topic: &str, _key: &str, _id: String, _json: &[u8]) -> std::io::Result<()> { Ok(()) } }
///
/// /// What others are told of an account: a contract of its own, which does not change when the event does.
/// #[derive(serde::Serialize)]
/// struct CustomerJoined<'a> {
///     customer: &'a str,
/// }
///
/// struct Broker(Client);
///
/// impl Publisher for Broker {
///     const NAME: &'static str = "broker";
///     type Event = Opened;
///     type Error = std::io::Error;
///
///     fn message(&self, event: &Opened, context: &EventContext) -> Result<Option<IntegrationEvent>, serde_json::Error> {
///         if context.metadata().get("internal").is_some() {
///             return Ok(None);
///         }
///         let joined = CustomerJoined { customer: context.aggregate_id() };
///         Ok(Some(IntegrationEvent::new("CustomerJoined", 1, &joined)?))
///     }
///
///     async fn publish(&self, messages: &[Message]) -> Result<Confirmed, std::io::Error> {
///         for message in messages {
///             self.0.send("customers", &message.partition_key, message.id.to_string(), &message.payload).await?;
///         }
///         Ok(Confirmed::All)
///     }
/// }
/// ```
///
/// [`Running::handler`]: crate::application::Running::handler
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a publisher: implement `cqrs::publisher::Publisher` for it",
    label = "not a publisher"
)]
pub trait Publisher: Send + Sync + Sized + 'static {
    /// The name under which its progress is kept, one among those of all handlers. The ids of its messages follow from it:
    /// a publisher that is renamed publishes everything again, under other ids.
    const NAME: &'static str;

    /// Where it begins when it has never run.
    const START_FROM: StartFrom = StartFrom::Origin;

    /// Whether a dispatch with strong consistency waits until its events are confirmed.
    const CONSISTENCY: HandlerConsistency = HandlerConsistency::Eventual;

    /// The streams whose events it publishes.
    const SUBSCRIBE_TO: SubscribeTo = SubscribeTo::All;

    /// The events that it publishes.
    type Event: EventSet;

    /// Why publishing fails.
    type Error: Error + Send + Sync + 'static;

    /// The message that an event becomes, `None` when others are not told of it. By default the event itself, under its
    /// name and in its present version.
    ///
    /// It is asked again whenever the event is published again, and has to give the same.
    ///
    /// # Errors
    /// When the message has no JSON form.
    fn message(
        &self,
        event: &Self::Event,
        context: &EventContext,
    ) -> Result<Option<IntegrationEvent>, serde_json::Error> {
        let _ = context;
        IntegrationEvent::of(event).map(Some)
    }

    /// Publishes messages in their order, at least one, and says which of them the broker has confirmed: that it has
    /// them, and will not lose them. What it has not confirmed is published again.
    ///
    /// # Errors
    /// When not even the first message is confirmed. A publisher that knows which message the broker does not take
    /// confirms those before it; the next call begins with that message.
    ///
    /// # Cancel safety
    /// The future is dropped when it takes longer than
    /// [`Config::handling_limit`](crate::application::Config::handling_limit), 60 s unless set, which counts as a failure
    /// ([`PublishError::TimedOut`]); and when the application's shutdown deadline passes: what it was publishing is then
    /// published again at the next start.
    fn publish(&self, messages: &[Message]) -> impl Future<Output = Result<Confirmed, Self::Error>> + Send;

    /// How many messages are published at once: 100, or 1 MiB, unless set.
    fn limits(&self) -> BatchLimits {
        BatchLimits::new()
    }

    /// Decides what becomes of messages that could not be published; by default
    /// [`PublishFailure::retry_for_ever`] does.
    ///
    /// With [`ErrorAction::Park`] and [`ErrorAction::Skip`], the messages of the batch are tried again one by one, so that
    /// only those are parked or skipped that fail alone. A parked message waits together with the later ones of its
    /// [partition key](Message::partition_key), until somebody says what is to be done
    /// ([`HandlerHandle`](crate::handler::HandlerHandle)); a skipped one is never published. When
    /// this panics or takes too long itself, the publisher stops.
    fn on_error(&self, failure: &PublishFailure<Self::Error>) -> impl Future<Output = ErrorAction> + Send {
        let action = failure.retry_for_ever();
        async move { action }
    }
}

/// Which of the messages that were published the broker has confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confirmed {
    /// All of them.
    All,
    /// So many from the first on; the others are published again. None at all is a failure.
    First(usize),
}

impl Confirmed {
    fn count(self, published: usize) -> usize {
        match self {
            Self::All => published,
            Self::First(count) => count.min(published),
        }
    }
}
