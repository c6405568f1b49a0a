use std::error::Error;

use crate::ambient::Ambient;
use crate::event::{DecodeError, Decoded, EventContext, EventRegistry, decode};
use crate::handler::{ErrorAction, EventHandler, HandlerError, HandlerFailure};
use crate::panics;
use crate::store::{EventFilter, RecordedEvent};
use crate::testing::GivenLog;
use crate::testing::scene::{Scene, registry_of};

/// An event that a handler did not handle, and what would become of it.
#[derive(Debug, thiserror::Error)]
#[error("{failure}, which leads to {action:?}")]
#[non_exhaustive]
pub struct NotHandled<E: Error> {
    /// Why not, and which event it is.
    pub failure: HandlerFailure<E>,
    /// What the handler's [`on_error`](EventHandler::on_error) decided. Nothing of that has been done.
    pub action: ErrorAction,
}

impl GivenLog {
    /// Has an event handler handle the events, one after the other, each once, until one fails; those that it is not
    /// interested in are left out. There is neither log nor application: [`EventContext::app`] gives `None`.
    ///
    /// The events go the way of stored ones: they are encoded, decoded as what the handler is interested in, and a panic
    /// of the handler counts as a failure. When [`on_error`](EventHandler::on_error) panics, a handler stops. Failures
    /// were seen first at the time of the event. A handler of batches gets each event by itself, as it does when a batch
    /// has failed.
    ///
    /// The handler's [state](EventHandler::State) begins as its default; what the events have made of it is given.
    /// [`GivenLog::handle_with`] begins with another one.
    ///
    /// ```
    /// # use cqrs_core::{event::*, handler::*};
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)] struct Opened { owner: String }
    /// # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
    /// # cqrs_core::event::event_set_of_one!(Opened);
    /// # struct WelcomeEmail;
    /// # impl EventHandler for WelcomeEmail {
    /// #     const NAME: &'static str = "welcome-email";
    /// #     type Event = Opened;
    /// #     type State = ();
    /// #     type Error = std::fmt::Error;
    /// #     async fn handle(&self, event: Opened, _: &mut (), _: &EventContext) -> Result<(), std::fmt::Error> {
    /// #         if event.owner.is_empty() { Err(std::fmt::Error) } else { Ok(()) }
    /// #     }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use cqrs_core::handler::ErrorAction;
    /// use cqrs_core::testing::given_log;
    ///
    /// # let (ada, nobody) = (Opened { owner: "Ada".into() }, Opened { owner: String::new() });
    /// given_log().events("account-1", [ada]).handle(&WelcomeEmail).await.unwrap();
    ///
    /// // Nobody can be welcomed: after ten attempts the event is parked.
    /// let given = given_log().events("account-2", [nobody]);
    /// let failed = given.attempt(10).handle(&WelcomeEmail).await.unwrap_err();
    /// assert_eq!(failed.action, ErrorAction::Park);
    /// # });
    /// ```
    ///
    /// # Errors
    /// When an event fails.
    ///
    /// # Panics
    /// When the state cannot be written as JSON, or not be read again.
    ///
    /// # Cancel safety
    /// Nothing but what the handler has done remains when the future is dropped.
    pub async fn handle<H: EventHandler>(self, handler: &H) -> Result<H::State, NotHandled<H::Error>> {
        let mut state = H::State::default();
        self.handle_with(handler, &mut state).await?;
        Ok(state)
    }

    /// [`GivenLog::handle`] with a state that the handler has already. An event that fails leaves it as it was.
    ///
    /// # Errors
    /// When an event fails.
    ///
    /// # Panics
    /// As [`GivenLog::handle`].
    ///
    /// # Cancel safety
    /// As [`GivenLog::handle`]; `state` is that behind the last event that was handled.
    pub async fn handle_with<H: EventHandler>(
        self,
        handler: &H,
        state: &mut H::State,
    ) -> Result<(), NotHandled<H::Error>> {
        let scene = Scene::of(H::NAME);
        let registry = registry_of::<H::Event>();
        let wanted = H::SUBSCRIBE_TO.filter(EventFilter::types(registry.stored_names_of::<H::Event>()));
        for event in self.events.iter().filter(|event| wanted.passes(event)) {
            let mut context = scene.context(event, self.attempt);
            let ambient = || Ambient::of_event(event).in_handler(scene.key.clone());
            let mut changed = stored::<H>(state);
            let handled =
                ambient().enter(try_handle(handler, &registry, event, &mut changed, &mut context)).await;
            let Err(error) = handled else {
                *state = stored::<H>(&changed);
                continue;
            };
            let first_failed_at = event.created_at;
            let failure = HandlerFailure { error, context, attempt: self.attempt, first_failed_at };
            let decided = panics::catch_async(ambient().enter(handler.on_error(&failure))).await;
            return Err(NotHandled { failure, action: decided.unwrap_or(ErrorAction::Stop) });
        }
        Ok(())
    }
}

/// A state as it comes back from a store.
fn stored<H: EventHandler>(state: &H::State) -> H::State {
    let written = serde_json::to_vec(state);
    let read = written.and_then(|written| serde_json::from_slice(&written));
    read.unwrap_or_else(|error| panic!("the state of handler {:?} cannot be kept: {error}", H::NAME))
}

async fn try_handle<H: EventHandler>(
    handler: &H,
    registry: &EventRegistry,
    event: &RecordedEvent,
    state: &mut H::State,
    context: &mut EventContext,
) -> Result<(), HandlerError<H::Error>> {
    let mut wanted = Vec::new();
    let decoded = decode::<H::Event, DecodeError>(registry, event, |decoded| {
        if let Decoded::Event(typed) = decoded {
            wanted.push(typed);
        }
        Ok(())
    });
    decoded.map_err(HandlerError::Undecodable)?;
    for (ordinal, typed) in (0..).zip(wanted) {
        context.ordinal = ordinal;
        match panics::catch_async(handler.handle(typed, state, context)).await {
            Ok(handled) => handled.map_err(HandlerError::Failed)?,
            Err(panic) => return Err(HandlerError::Panicked(panic)),
        }
    }
    Ok(())
}
