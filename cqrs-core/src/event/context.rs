use std::sync::{Arc, Weak};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::application::{Application, Core, Running};
use crate::event::about_event;
use crate::handler::{Effects, OnceError};
use crate::store::RecordedEvent;

/// What a handler is told about the event it handles, besides the event.
#[derive(Clone, Debug)]
pub struct EventContext {
    event: RecordedEvent,
    /// Which of the values it is that the event was upcast to.
    pub(crate) ordinal: u32,
    application: Arc<str>,
    handler: Arc<str>,
    attempt: u32,
    core: Weak<Core>,
    effects: Arc<Effects>,
}

impl EventContext {
    pub(crate) fn new(
        event: RecordedEvent,
        application: Arc<str>,
        handler: Arc<str>,
        attempt: u32,
        core: Weak<Core>,
        effects: Arc<Effects>,
    ) -> Self {
        Self { event, ordinal: 0, application, handler, attempt, core, effects }
    }

    /// The context of one of the values that the event was upcast to.
    pub(crate) fn of_value(self, ordinal: u32) -> Self {
        Self { ordinal, ..self }
    }

    /// The application that the handler runs in, to dispatch commands through. What is dispatched while the
    /// event is handled is caused by it, and belongs together with it. Its metadata is what the handler attaches: that of
    /// the event, such as who was the actor, is handed over by hand.
    ///
    /// The handle does not keep the application running. `None` when the handler runs in an application of
    /// another type.
    ///
    /// ```
    /// # use cqrs_core::application::Application;
    /// # use cqrs_core::event::EventContext;
    /// fn the_bank<Bank: Application>(context: &EventContext) -> Result<Bank, &'static str> {
    ///     context.app().ok_or("this handler runs in another application")
    /// }
    /// ```
    #[must_use]
    pub fn app<A: Application>(&self) -> Option<A> {
        Running::inside(self.core.upgrade()?).map(A::from_running)
    }

    /// Does something that must not be done twice, such as charging a card, and notes down its result in the store: when
    /// the event is tried again, by this node or by another one, the result is given without doing it again. `label`
    /// tells it from other effects of the same event; each of the events that one was upcast to has effects of its own. A
    /// failure is not noted down.
    ///
    /// The result is kept until the event is handled or skipped; as long as the event is parked, so is its result.
    ///
    /// # Errors
    /// When the effect fails, its result is no JSON, or the store cannot be reached.
    ///
    /// # Cancel safety
    /// Between the effect and the moment when its result is stored a crash, or dropping the future, leaves nothing that
    /// tells that it was made. Give the other side a key by which it knows a repetition, such as
    /// [`EventContext::event_id`], where that matters.
    ///
    /// ```
    /// # use cqrs_core::event::EventContext;
    /// # use cqrs_core::handler::OnceError;
    /// # async fn charge(_key: String) -> Result<String, std::io::Error> { unimplemented!() }
    /// # async fn send_receipt(_charge: &str) -> Result<(), std::io::Error> { unimplemented!() }
    /// async fn on_ordered(context: &EventContext) -> Result<(), OnceError<std::io::Error>> {
    ///     let charge = context.once("charge", || charge(context.event_id().to_string())).await?;
    ///     // If this fails, the next attempt does not charge again.
    ///     context.once("receipt", || send_receipt(&charge)).await
    /// }
    /// ```
    pub async fn once<T, E, F>(&self, label: &str, effect: impl FnOnce() -> F) -> Result<T, OnceError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: std::error::Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        self.effects.once(self.event.position, self.ordinal, label, effect).await
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
}

about_event!(EventContext);
