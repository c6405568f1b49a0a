//! Parked messages: they are published again, one by one in their order, when somebody says so.

use crate::handler::{End, ErrorAction, Failed, HandlerRunner, HandlerState, PARKED, ParkedKey, Tenure};
use crate::publisher::attempt::Attempts;
use crate::publisher::publishing::Publishing;
use crate::publisher::{Message, Publisher};
use crate::store::{HandlerCommit, RecordedEvent, StoreError};

impl<P: Publisher> Publishing<P> {
    /// Publishes the messages of a parked key, up to where the publisher has come; of the first event only if
    /// `with_first`. The first one that fails is parked again. What was `done` by that is written together with it.
    pub(super) async fn publish_parked(
        &self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        let Some(parked) = tenure.parked.get(key).cloned() else {
            runner.commit(done, tenure).await?;
            return Ok(Ok(()));
        };
        let until = runner.position();
        let mut position = parked.position - 1;
        if !with_first {
            runner.control.make_up(parked.position);
            position = parked.position;
        }
        while position < until {
            let page = tokio::select! {
                biased;
                page = runner.store.read_log(position, &runner.subscriber.filter, runner.page) => page,
                () = tenure.lease.over() => return Err(End::Over),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            if page.read_to <= position {
                break;
            }
            for event in page.events.iter().take_while(|event| event.position <= until) {
                runner.check(tenure)?;
                let earlier = (event.position == parked.position).then_some(&parked);
                let Err(failed) = self.publish_of_key(runner, key, event, earlier, tenure).await else {
                    continue;
                };
                let again = ParkedKey {
                    position: event.position,
                    error: failed.text,
                    attempts: failed.attempts,
                    first_failed_at: failed.first_failed_at,
                    ..parked
                };
                runner.commit(done.put(again.record()), tenure).await?;
                tenure.parked.insert(key.to_owned(), again);
                runner.set_state(HandlerState::Running);
                return Ok(Ok(()));
            }
            position = page.read_to;
        }
        runner.commit(done.remove(PARKED, key), tenure).await?;
        tenure.parked.remove(key);
        runner.set_parked(tenure);
        runner.set_state(HandlerState::Running);
        tracing::info!(cqrs.handler = &*runner.name, cqrs.key = key, "parked messages published");
        Ok(Ok(()))
    }

    /// Publishes those messages of an event that have waited for this key, and for no other.
    async fn publish_of_key(
        &self,
        runner: &HandlerRunner,
        key: &str,
        event: &RecordedEvent,
        earlier: Option<&ParkedKey>,
        tenure: &Tenure,
    ) -> Result<(), Failed> {
        let attempts = Attempts {
            count: earlier.map_or(0, |parked| parked.attempts),
            first_failed_at: earlier.map(|parked| parked.first_failed_at),
        };
        let messages = match self.messages_of(runner, event) {
            Ok(messages) => messages,
            // It is parked, or was skipped, by its stream.
            Err(_) if event.stream_id.as_str() != key => return Ok(()),
            Err(error) => {
                let failed = self.fail(runner, error, &[], event.position, &mut { attempts }).await;
                return unless_skipped(failed);
            }
        };
        let of_key = messages.iter().filter(|message| message.keys().contains(&key));
        for message in of_key.filter(|message| !waits_for_another(message, key, tenure)) {
            if let Err(error) = self.attempt(runner, std::slice::from_ref(message)).await {
                let messages = std::slice::from_ref(message);
                let failed = self.fail(runner, error, messages, event.position, &mut { attempts }).await;
                unless_skipped(failed)?;
            }
            runner.control.make_up(message.position);
        }
        Ok(())
    }
}

fn unless_skipped(failed: Failed) -> Result<(), Failed> {
    match failed.action {
        ErrorAction::Skip => Ok(()),
        _ => Err(failed),
    }
}

/// Whether a message also waits behind another key than this one.
fn waits_for_another(message: &Message, key: &str, tenure: &Tenure) -> bool {
    let is_behind =
        |key: &str| tenure.parked.get(key).is_some_and(|parked| parked.position <= message.position);
    message.keys().into_iter().any(|other| other != key && is_behind(other))
}
