//! Parked messages: they are published again, one by one in their order, when somebody says so.

use crate::handler::{End, ErrorAction, Failed, HandlerRunner, ParkedKey, Retry, Tenure};
use crate::publisher::attempt::Attempts;
use crate::publisher::publishing::Publishing;
use crate::publisher::{Message, Publisher};
use crate::store::{HandlerCommit, RecordedEvent};

impl<P: Publisher> Retry for Publishing<P> {
    async fn retry(
        &mut self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        parked: &ParkedKey,
        tenure: &mut Tenure,
    ) -> Result<Result<bool, Failed>, End> {
        // Publishers have no effects besides.
        Ok(self.publish_parked(runner, event, parked, tenure).await.map(|()| false))
    }

    async fn note(
        &mut self,
        runner: &HandlerRunner,
        commit: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        runner.commit(commit, tenure).await
    }
}

impl<P: Publisher> Publishing<P> {
    /// Publishes those messages of an event that have waited for this key, and for no other.
    async fn publish_parked(
        &self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        parked: &ParkedKey,
        tenure: &Tenure,
    ) -> Result<(), Failed> {
        let (key, earlier) = (parked.key.as_str(), parked.earlier(event));
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
