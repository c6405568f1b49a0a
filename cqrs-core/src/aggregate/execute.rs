use std::sync::Arc;
use std::time::Duration;

use crate::aggregate::failure::{abandoned, replay_error, store_error, unknown};
use crate::aggregate::instance::Loaded;
use crate::aggregate::{Aggregate, AggregateRuntime, At, Order, Outcome, Replier, Success};
use crate::application::ApplicationState;
use crate::dispatch::DispatchError;
use crate::store::{AppendError, Appended, StreamId};
use crate::telemetry::append::Appending;
use crate::telemetry::{self, Stopwatch};

impl<A: Aggregate> AggregateRuntime<A> {
    /// Carries one command out, or finds out that it was carried out before.
    pub(crate) async fn process(
        &self,
        stream_id: &StreamId,
        loaded: &mut Option<Loaded<A>>,
        order: &Order<A>,
        reply: &mut Replier<A>,
    ) -> Outcome<A> {
        if !order.is_keyed {
            return self.execute(stream_id, loaded, order, reply).await;
        }
        if order.may_be_repetition {
            if let Some(first) = self.first_outcome(stream_id, order).await? {
                return self.repeated(stream_id, order.command_id, first).await;
            }
            order.progress.nothing_stored();
        }
        let outcome = self.execute(stream_id, loaded, order, reply).await;
        let refused = matches!(
            outcome,
            Err(DispatchError::Rejected(_)
                | DispatchError::WrongExpectedVersion { .. }
                | DispatchError::TooManyAttempts { .. }
                | DispatchError::NotProjected { .. })
        );
        // Another node may have carried out this very command since the store was asked, and what it wrote may
        // be the reason of the refusal.
        if refused
            && order.progress.begin_append()
            && let Some(first) = self.first_outcome(stream_id, order).await?
        {
            return self.repeated(stream_id, order.command_id, first).await;
        }
        outcome
    }

    /// The outcome of an earlier dispatch with the same id, if there was one. When the store does not say, the
    /// command's outcome is unknown: this dispatch has written nothing, but an earlier one may have.
    async fn first_outcome(
        &self,
        stream_id: &StreamId,
        order: &Order<A>,
    ) -> Result<Option<Appended>, DispatchError<A::Error>> {
        self.environment
            .store
            .outcome(order.append_id)
            .await
            .map_err(|error| unknown(order, stream_id, error))
    }

    /// Executes one command and appends its events. Another writer may be first: then what it wrote is read,
    /// and the command is executed again on the newer state.
    async fn execute(
        &self,
        stream_id: &StreamId,
        loaded: &mut Option<Loaded<A>>,
        order: &Order<A>,
        reply: &mut Replier<A>,
    ) -> Outcome<A> {
        let command_id = order.command_id;
        let replay_failed = |error| replay_error(command_id, stream_id, error);
        // Whether the state was read from the store for this very command.
        let mut fresh = loaded.is_none();
        let known = match loaded.take() {
            Some(known) => known,
            None => {
                let stopwatch = Stopwatch::start();
                let loaded = self.load(stream_id).await.map_err(replay_failed)?;
                let events = loaded.version.saturating_sub(loaded.snapshot_version);
                telemetry::aggregate::loaded::<A>(&self.environment, stopwatch, events);
                loaded
            }
        };
        let current = loaded.insert(known);
        if !fresh && order.expected_version.is_some_and(|expected| expected != current.version) {
            // Another node may have written since.
            self.catch_up(stream_id, current, At::LATEST).await.map_err(replay_failed)?;
            fresh = true;
        }
        let mut attempt = 1;
        loop {
            if let Some(expected) = order.expected_version
                && expected != current.version
            {
                let actual = current.version;
                let stream_id = stream_id.clone();
                return Err(DispatchError::WrongExpectedVersion { command_id, stream_id, expected, actual });
            }
            let decided = self.decide(stream_id, current, order, reply, attempt).await;
            let writes = decided.as_ref().is_ok_and(|(events, _)| !events.is_empty());
            if !writes && !fresh {
                // An append would notice that another node has written since; a refusal has to look.
                let known = current.version;
                self.catch_up(stream_id, current, At::LATEST).await.map_err(replay_failed)?;
                fresh = true;
                if current.version != known {
                    attempt += 1;
                    continue;
                }
            }
            let (events, changed) = decided?;
            if !writes && !order.is_keyed {
                return Ok(Success::of(current, None, events));
            }
            let append = self.append_of(stream_id, current, order, &events, changed.as_ref())?;
            if self.environment.is_closed() {
                return Err(DispatchError::NotRunning {
                    application: self.environment.application.as_ref().to_owned(),
                    state: ApplicationState::Stopped,
                });
            }
            if order.is_late() || !order.progress.begin_append() {
                return Err(abandoned(order));
            }
            let appending = Appending::of_one::<A>(&self.environment, stream_id, events.len());
            match appending.observe(self.environment.append(append)).await {
                Ok(appended) if appended.repeated => {
                    return self.repeated(stream_id, command_id, appended).await;
                }
                Ok(appended) => {
                    *current = current.after(&events, changed);
                    return Ok(Success::of(current, Some(&appended), events));
                }
                Err(AppendError::WrongExpectedVersion { actual, .. }) => {
                    order.progress.nothing_stored();
                    if let Some(expected) = order.expected_version {
                        *loaded = None;
                        let stream_id = stream_id.clone();
                        return Err(DispatchError::WrongExpectedVersion {
                            command_id,
                            stream_id,
                            expected,
                            actual,
                        });
                    }
                    if attempt > order.retry_attempts {
                        *loaded = None;
                        let stream_id = stream_id.clone();
                        return Err(DispatchError::TooManyAttempts {
                            command_id,
                            stream_id,
                            attempts: attempt,
                        });
                    }
                    tracing::debug!(
                        cqrs.stream_id = %stream_id,
                        cqrs.attempt = attempt,
                        "another writer was first"
                    );
                    tokio::time::sleep(pause_before(attempt)).await;
                    if order.progress.is_given_up() {
                        return Err(abandoned(order));
                    }
                    self.follow(stream_id, current, actual).await.map_err(replay_failed)?;
                    fresh = true;
                    attempt += 1;
                }
                Err(error @ AppendError::NotProjected { .. }) => {
                    order.progress.nothing_stored();
                    return Err(store_error(command_id, stream_id, error));
                }
                Err(error) => {
                    // What the store has now is not known for sure; the next command reads it.
                    *loaded = None;
                    return Err(store_error(command_id, stream_id, error));
                }
            }
        }
    }
}

impl<A: Aggregate> Success<A> {
    /// A command that left the aggregate at `current`.
    pub(super) fn of(current: &Loaded<A>, appended: Option<&Appended>, events: Vec<A::Event>) -> Self {
        let (version, state) = (current.version, Arc::clone(&current.state));
        let position = appended.map(|appended| appended.position).filter(|position| *position > 0);
        Self { version, position, events, state, repeated: false }
    }
}

/// No pause before the first repetition, then a random time up to a bound that doubles to 128 ms.
fn pause_before(attempt: u32) -> Duration {
    match attempt {
        1 => Duration::ZERO,
        _ => Duration::from_millis(1 << attempt.min(7)).mul_f64(fastrand::f64()),
    }
}
