use std::error::Error;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::ambient::Ambient;
use crate::error_text::error_text;
use crate::event::{DecodeError, Decoded, EventContext, EventRegistry, EventSet, decode};
use crate::handler::reaction::Attempt;
use crate::handler::{ErrorAction, EventHandler, HandlerError, HandlerFailure, HandlerRunner, HandlerState};
use crate::panics;
use crate::store::RecordedEvent;
use crate::telemetry;
use crate::user_code;

/// An attempt at an event that failed, and what is to become of the event.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) action: ErrorAction,
    /// Why, with all causes.
    pub(crate) text: String,
    pub(crate) attempts: u32,
    pub(crate) first_failed_at: DateTime<Utc>,
}

/// The typed values of a stored event that are in a set: none, one, or several when it was upcast.
pub(crate) fn wanted<Set: EventSet, E>(
    registry: &EventRegistry,
    event: &RecordedEvent,
) -> Result<Vec<Set>, HandlerError<E>> {
    let mut wanted = Vec::new();
    let decoded = panics::catch(|| {
        decode::<Set, DecodeError>(registry, event, |decoded| {
            if let Decoded::Event(event) = decoded {
                wanted.push(event);
            }
            Ok(())
        })
    });
    match decoded {
        Ok(Ok(())) => Ok(wanted),
        Ok(Err(error)) => Err(HandlerError::Undecodable(error)),
        Err(message) => Err(HandlerError::Panicked(message)),
    }
}

impl HandlerRunner {
    /// Tries to handle an event once; when that fails, the handler decides what becomes of it.
    pub(crate) async fn attempt<H: EventHandler>(
        &self,
        handler: &H,
        event: &RecordedEvent,
        state: &mut H::State,
        attempt: Attempt,
    ) -> Result<(), Failed> {
        let mut context = self.context(event, attempt.number);
        let handled = self.try_handle(handler, event, state, &mut context);
        let handled = telemetry::handler::observe(self, event, attempt, handled);
        let Err(error) = handled.await else { return Ok(()) };
        let failure = self.failure(error, context, attempt);
        Err(self.decide(event, &failure, handler.on_error(&failure)).await)
    }

    pub(crate) fn failure<E, C>(
        &self,
        error: HandlerError<E>,
        context: C,
        attempt: Attempt,
    ) -> HandlerFailure<E, C> {
        let first_failed_at = attempt.first_failed_at.unwrap_or_else(|| self.clock.now());
        HandlerFailure { error, context, attempt: attempt.number, first_failed_at }
    }

    /// Awaits what is to become of an event that failed.
    pub(crate) async fn decide<E: Error + 'static, C>(
        &self,
        event: &RecordedEvent,
        failure: &HandlerFailure<E, C>,
        decision: impl Future<Output = ErrorAction>,
    ) -> Failed {
        // What it dispatches is caused by the event, too.
        let decided = user_code::call(self.handling_limit, self.ambient(event).enter(decision));
        let action = match decided.await {
            Ok(action) => action,
            Err(cut_off) => {
                tracing::error!(cqrs.handler = &*self.name, "on_error {cut_off}, the handler stops");
                ErrorAction::Stop
            }
        };
        let text = error_text(&failure.error);
        self.report(event.position, failure.attempt, action, &text);
        Failed { action, text, attempts: failure.attempt, first_failed_at: failure.first_failed_at }
    }

    /// The typed values of a stored event that somebody wants: none, one, or several when it was upcast.
    pub(crate) fn wanted<Set: EventSet, E>(
        &self,
        event: &RecordedEvent,
    ) -> Result<Vec<Set>, HandlerError<E>> {
        wanted(&self.registry, event)
    }

    pub(crate) fn context(&self, event: &RecordedEvent, attempt: u32) -> EventContext {
        let (application, name) = (Arc::clone(&self.application), Arc::clone(&self.handler));
        EventContext::new(
            event.clone(),
            application,
            name,
            attempt,
            self.core.clone(),
            Arc::clone(&self.effects),
        )
    }

    async fn try_handle<H: EventHandler>(
        &self,
        handler: &H,
        event: &RecordedEvent,
        state: &mut H::State,
        context: &mut EventContext,
    ) -> Result<(), HandlerError<H::Error>> {
        let wanted = self.wanted::<H::Event, _>(event)?;
        // Boxed: a large event would otherwise lie on the stack once for each future around it.
        let work = Box::pin(self.ambient(event).enter(async {
            for (ordinal, event) in (0..).zip(wanted) {
                context.ordinal = ordinal;
                handler.handle(event, state, context).await?;
            }
            Ok(())
        }));
        user_code::call(self.handling_limit, work).await?.map_err(HandlerError::Failed)
    }

    /// What the handler's own commands inherit while it is at `event`.
    pub(crate) fn ambient(&self, event: &RecordedEvent) -> Ambient {
        Ambient::of_event(event).in_handler(self.key.clone())
    }

    fn report(&self, position: u64, attempt: u32, action: ErrorAction, text: &str) {
        telemetry::handler::failed(self, action);
        match action {
            ErrorAction::Stop => {
                tracing::error!(
                    cqrs.application = &*self.application,
                    cqrs.handler = &*self.name,
                    cqrs.event_number = position,
                    cqrs.attempt = attempt,
                    error = text,
                    "handler stopped: it handles nothing more until the application is started again"
                );
                self.set_failure(HandlerState::Failed, &text);
            }
            ErrorAction::Skip => {
                tracing::warn!(
                    cqrs.handler = &*self.name,
                    cqrs.event_number = position,
                    cqrs.attempt = attempt,
                    error = text,
                    "event skipped"
                );
            }
            // Told where it is parked.
            ErrorAction::Park => self.set_failure(HandlerState::Retrying, &text),
            ErrorAction::Retry | ErrorAction::RetryAfter(_) => {
                tracing::warn!(
                    cqrs.handler = &*self.name,
                    cqrs.event_number = position,
                    cqrs.attempt = attempt,
                    error = text,
                    "event not handled, trying again"
                );
                self.set_failure(HandlerState::Retrying, &text);
            }
        }
    }
}
