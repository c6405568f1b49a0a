use std::sync::Arc;

use crate::handler::{Consumer, End, ErrorAction, HandlerRunner, HandlerState, Tenure};
use crate::publisher::Publisher;
use crate::publisher::attempt::Attempts;
use crate::publisher::queue::Queue;
use crate::store::{HandlerCommit, RecordedEvent, StoreError};

/// Publishes events, batch after batch. The runner advances behind what is confirmed, and nowhere else.
pub(crate) struct Publishing<P>(pub(super) Arc<P>);

impl<P: Publisher> Consumer for Publishing<P> {
    async fn consume(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let mut queue = Queue::new(events, runner.position());
        let mut attempts = Attempts::default();
        loop {
            runner.check(tenure)?;
            let filled = queue.fill(self, runner, tenure);
            let batch = queue.batch(self);
            let (failed, count, key, position) = match (batch.first(), filled) {
                (Some(first), _) => match self.attempt(runner, batch).await {
                    Ok(confirmed) => {
                        let last = batch.get(confirmed - 1).map(|message| message.position);
                        queue.remove(confirmed);
                        runner.advance(queue.reached());
                        if attempts.first_failed_at.is_some() {
                            runner.set_state(HandlerState::Running);
                            attempts = Attempts::default();
                        }
                        runner.save_if_due(tenure).await?;
                        // In the midst of an event its first messages would be published again.
                        if last.is_some_and(|last| last <= runner.position()) {
                            runner.heed(tenure).await?;
                        }
                        tokio::task::consume_budget().await;
                        continue;
                    }
                    Err(error) => {
                        let (key, position) = (first.partition_key.clone(), first.position);
                        let failed = self.fail(runner, error, batch, position, &mut attempts).await;
                        (failed, batch.len(), key, position)
                    }
                },
                (None, Err(error)) => {
                    let event = queue.faulty().expect("what fails is still there");
                    let failed = self.fail(runner, error, &[], event.position, &mut attempts).await;
                    (failed, 0, event.stream_id.as_str().to_owned(), event.position)
                }
                (None, Ok(())) => {
                    runner.advance(queue.reached());
                    return Ok(());
                }
            };
            match failed.action {
                ErrorAction::Retry => tokio::task::yield_now().await,
                ErrorAction::RetryAfter(delay) => runner.wait_to_retry(delay, tenure).await?,
                ErrorAction::Stop => return Err(End::Failed),
                ErrorAction::Skip | ErrorAction::Park if count > 1 => {
                    queue.go_alone(count);
                    attempts = Attempts { count: 0, ..attempts };
                }
                ErrorAction::Skip | ErrorAction::Park => {
                    match count {
                        0 => queue.pass_faulty(),
                        _ => queue.remove(1),
                    }
                    if failed.action == ErrorAction::Park {
                        runner.park_key(key, position, &failed, tenure).await?;
                        queue.leave_waiting(runner, tenure);
                    }
                    runner.advance(queue.reached());
                    runner.set_state(HandlerState::Running);
                    attempts = Attempts::default();
                }
            }
        }
    }

    async fn retry_parked(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        runner.retry_parked(self, key, with_first, done, tenure).await
    }

    async fn before_reset(
        &mut self,
        _runner: &HandlerRunner,
        done: HandlerCommit,
    ) -> Result<HandlerCommit, String> {
        Ok(done)
    }
}
