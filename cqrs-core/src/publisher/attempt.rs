use chrono::{DateTime, Utc};

use crate::error_text::error_text;
use crate::event::{DecodeError, Decoded, EventContext, EventRegistry, decode};
use crate::handler::{ErrorAction, Failed, HandlerRunner, HandlerState};
use crate::panics;
use crate::publisher::publishing::Publishing;
use crate::publisher::{Message, PublishError, PublishFailure, Publisher};
use crate::store::RecordedEvent;
use crate::telemetry;
use crate::user_code;

/// Attempts since anything was published.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempts {
    pub(super) count: u32,
    pub(super) first_failed_at: Option<DateTime<Utc>>,
}

impl<P: Publisher> Publishing<P> {
    /// The messages of an event.
    pub(super) fn messages_of(
        &self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
    ) -> Result<Vec<Message>, PublishError<P::Error>> {
        self.messages(&runner.registry, &runner.name, event, &runner.context(event, 1))
    }

    /// The same, for whoever does not run the publisher.
    pub(super) fn messages(
        &self,
        registry: &EventRegistry,
        name: &str,
        event: &RecordedEvent,
        context: &EventContext,
    ) -> Result<Vec<Message>, PublishError<P::Error>> {
        let mapped = panics::catch(|| {
            let (mut ordinal, mut typed) = (0, Vec::new());
            decode::<P::Event, DecodeError>(registry, event, |decoded| {
                if let Decoded::Event(event) = decoded {
                    typed.push((ordinal, event));
                }
                // Those of other types count, too: a publisher that becomes interested in them gives the same ids.
                ordinal += 1;
                Ok(())
            })
            .map_err(PublishError::Undecodable)?;
            let mut messages = Vec::with_capacity(typed.len());
            for (ordinal, typed) in typed {
                let content = self.0.message(&typed, context).map_err(PublishError::Unencodable)?;
                messages.extend(content.map(|content| Message::new(name, event, ordinal, content)));
            }
            Ok(messages)
        });
        mapped.unwrap_or_else(|panic| Err(PublishError::Panicked(panic)))
    }

    /// Publishes messages once; gives how many were confirmed, at least one.
    pub(super) async fn attempt(
        &self,
        runner: &HandlerRunner,
        messages: &[Message],
    ) -> Result<usize, PublishError<P::Error>> {
        let published = Box::pin(async { self.0.publish(messages).await });
        let published = async {
            let confirmed = user_code::call(runner.handling_limit, published).await?;
            match confirmed.map_err(PublishError::Failed)?.count(messages.len()) {
                0 => Err(PublishError::Unconfirmed),
                count => Ok(count),
            }
        };
        telemetry::publisher::observe(runner, messages, published).await
    }

    /// Asks the publisher what is to become of messages that were not published, or of an event that gave none.
    pub(super) async fn fail(
        &self,
        runner: &HandlerRunner,
        error: PublishError<P::Error>,
        messages: &[Message],
        position: u64,
        attempts: &mut Attempts,
    ) -> Failed {
        attempts.count = attempts.count.saturating_add(1);
        let first_failed_at = *attempts.first_failed_at.get_or_insert_with(|| runner.clock.now());
        let attempt = attempts.count;
        let failure =
            PublishFailure { error, messages: messages.to_vec(), position, attempt, first_failed_at };
        let decided = async { self.0.on_error(&failure).await };
        let action = match user_code::call(runner.handling_limit, decided).await {
            Ok(action) => action,
            Err(cut_off) => {
                tracing::error!(cqrs.handler = &*runner.name, "on_error {cut_off}, the publisher stops");
                ErrorAction::Stop
            }
        };
        let text = error_text(&failure.error);
        report(runner, &failure, action, &text);
        Failed { action, text, attempts: attempt, first_failed_at }
    }
}

fn report<E>(runner: &HandlerRunner, failure: &PublishFailure<E>, action: ErrorAction, text: &str) {
    telemetry::handler::failed(runner, action_on_one(failure, action));
    let (handler, position, attempt) = (&*runner.name, failure.position, failure.attempt);
    match action {
        ErrorAction::Stop => {
            tracing::error!(
                cqrs.application = &*runner.application,
                cqrs.handler = handler,
                cqrs.event_number = position,
                cqrs.attempt = attempt,
                error = text,
                "publisher stopped: it publishes nothing more until the application is started again"
            );
            runner.set_failure(HandlerState::Failed, &text);
        }
        // What is parked or skipped in the end is told when it is known which message it is.
        ErrorAction::Skip if failure.messages.len() <= 1 => tracing::warn!(
            cqrs.handler = handler,
            cqrs.event_number = position,
            cqrs.attempt = attempt,
            error = text,
            "message skipped"
        ),
        ErrorAction::Skip | ErrorAction::Park => runner.set_failure(HandlerState::Retrying, &text),
        ErrorAction::Retry | ErrorAction::RetryAfter(_) => {
            tracing::warn!(
                cqrs.handler = handler,
                cqrs.event_number = position,
                cqrs.attempt = attempt,
                error = text,
                "messages not published, trying again"
            );
            runner.set_failure(HandlerState::Retrying, &text);
        }
    }
}

/// What is parked or skipped of several messages is tried one by one first.
fn action_on_one<E>(failure: &PublishFailure<E>, action: ErrorAction) -> ErrorAction {
    match action {
        ErrorAction::Skip | ErrorAction::Park if failure.messages.len() > 1 => ErrorAction::Retry,
        action => action,
    }
}
