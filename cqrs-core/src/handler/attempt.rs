use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::Instrument as _;

use crate::ambient::Ambient;
use crate::error_text::error_text;
use crate::event::{DecodeError, Decoded, EventContext, decode};
use crate::handler::{ErrorAction, EventHandler, HandlerError, HandlerFailure, HandlerRunner, HandlerState};
use crate::panics;
use crate::store::RecordedEvent;

/// An attempt at an event that failed, and what is to become of the event.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) action: ErrorAction,
    /// Why, with all causes.
    pub(crate) text: String,
    pub(crate) attempts: u32,
    pub(crate) first_failed_at: DateTime<Utc>,
}

impl HandlerRunner {
    /// Tries to handle an event once; when that fails, the handler decides what becomes of it.
    pub(crate) async fn attempt<H: EventHandler>(
        &self,
        handler: &H,
        event: &RecordedEvent,
        attempt: u32,
        first_failed_at: Option<DateTime<Utc>>,
    ) -> Result<(), Failed> {
        let context = self.context(event, attempt);
        let span = tracing::debug_span!(
            target: "cqrs",
            "handle",
            otel.kind = "consumer",
            cqrs.handler = &*self.name,
            cqrs.event_type = &*event.event_type,
            cqrs.event_number = event.position,
            cqrs.attempt = attempt,
        );
        let handled = self.try_handle(handler, event, &context).instrument(span).await;
        let Err(error) = handled else { return Ok(()) };
        let first_failed_at = first_failed_at.unwrap_or_else(|| self.clock.now());
        let failure = HandlerFailure { error, context, attempt, first_failed_at };
        // What it dispatches is caused by the event, too.
        let decision = self.ambient(event).enter(async { handler.on_error(&failure).await });
        let action = match panics::catch_async(decision).await {
            Ok(action) => action,
            Err(panic) => {
                tracing::error!(cqrs.handler = &*self.name, panic, "on_error panicked, the handler stops");
                ErrorAction::Stop
            }
        };
        let text = error_text(&failure.error);
        self.report(&failure, action, &text);
        Err(Failed { action, text, attempts: attempt, first_failed_at })
    }

    /// What keeps the order of an event among others: its stream, unless the handler says otherwise. An event that
    /// cannot be decoded, or that makes the handler panic, goes by its stream.
    pub(crate) fn key_of<H: EventHandler>(&self, handler: &H, event: &RecordedEvent) -> String {
        let key = panics::catch(|| {
            let mut key = None;
            let decoded = decode::<H::Event, DecodeError>(&self.registry, event, |decoded| {
                if let (Decoded::Event(typed), None) = (decoded, &key) {
                    key = Some(handler.partition_by(&typed, &self.context(event, 1)));
                }
                Ok(())
            });
            decoded.ok().and(key)
        });
        key.ok().flatten().unwrap_or_else(|| event.stream_id.as_str().to_owned())
    }

    fn context(&self, event: &RecordedEvent, attempt: u32) -> EventContext {
        let (application, name) = (Arc::clone(&self.application), Arc::clone(&self.name));
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
        context: &EventContext,
    ) -> Result<(), HandlerError<H::Error>> {
        let mut wanted = Vec::new();
        let decoded = panics::catch(|| {
            decode::<H::Event, DecodeError>(&self.registry, event, |decoded| {
                if let Decoded::Event(event) = decoded {
                    wanted.push(event);
                }
                Ok(())
            })
        });
        match decoded {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(HandlerError::Undecodable(error)),
            Err(message) => return Err(HandlerError::Panicked(message)),
        }
        // Boxed: a large event would otherwise lie on the stack once for each future around it.
        let work = Box::pin(self.ambient(event).enter(async {
            for event in wanted {
                handler.handle(event, context).await?;
            }
            Ok(())
        }));
        match panics::catch_async(work).await {
            Ok(handled) => handled.map_err(HandlerError::Failed),
            Err(message) => Err(HandlerError::Panicked(message)),
        }
    }

    /// What the handler's own commands inherit while it is at `event`.
    fn ambient(&self, event: &RecordedEvent) -> Ambient {
        Ambient::of_event(event).in_handler(self.key.clone())
    }

    fn report<E>(&self, failure: &HandlerFailure<E>, action: ErrorAction, text: &str) {
        let (position, attempt) = (failure.context.position(), failure.attempt);
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
