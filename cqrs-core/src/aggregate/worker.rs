use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::BoxError;
use crate::aggregate::instance::{Instance, Loaded, Next, Settle};
use crate::aggregate::{
    Aggregate, AggregateRuntime, DefaultLifespan, Emitter, Job, Lifespan, Order, ReplayError, Replier,
    SnapshotPolicy, Success,
};
use crate::application::ApplicationState;
use crate::command::{AnyCommand, CommandContext, Execution};
use crate::dispatch::{DispatchError, PanicPlace, TimeoutOutcome};
use crate::event::EventSet;
use crate::id::{CommandId, EventId};
use crate::panics;
use crate::store::{
    Append, AppendError, Appended, EventData, ExpectedVersion, StoreError, StreamId, StreamWrite,
};

type Outcome<A> = Result<Success<A>, DispatchError<<A as Aggregate>::Error>>;

/// Runs the commands that wait for an instance, one after the other, until none waits.
pub(crate) async fn run<A: Aggregate>(runtime: Arc<AggregateRuntime<A>>, instance: Arc<Instance<A>>) {
    let mut unfinished = Unfinished {
        runtime: &runtime,
        instance: &instance,
        is_finished: false,
    };
    let (mut loaded, mut job) = instance.begin();
    while let Some(Job { order, mut reply }) = job {
        if reply.is_closed() || order.progress.is_given_up() {
            // Whoever sent it does not listen any more, and nothing was begun.
            job = runtime.settle(&instance, loaded.as_ref(), Settle::Skipped);
            continue;
        }
        let outcome = {
            // Pinned where it is made: the wrappers would otherwise copy it, and it is large.
            let work = pin!(runtime.process(&instance.stream_id, &mut loaded, &order, &mut reply));
            panics::catch_async(work.instrument(order.span.clone())).await
        };
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(message) => {
                tracing::error!(
                    cqrs.stream_id = %instance.stream_id,
                    cqrs.command_id = %order.command_id,
                    panic = message,
                    "aggregate panicked"
                );
                // What the panic left is not to be trusted; the next command loads it anew.
                loaded = None;
                Err(panicked(&order, &instance.stream_id, message))
            }
        };
        if let (Ok(success), Some(loaded)) = (&outcome, &mut loaded)
            && !success.events.is_empty()
        {
            runtime.snapshot_if_due(&instance.stream_id, loaded);
        }
        let settle = runtime.lifespan_after(&order, &outcome);
        // The instance is at rest before the caller hears of it, so that what the caller does next meets it
        // as it will stay.
        job = runtime.settle(&instance, loaded.as_ref(), settle);
        let _ = reply.send(outcome);
        tokio::task::consume_budget().await;
    }
    unfinished.is_finished = true;
}

/// Retires an instance whose run is dropped before its end, as with the tokio runtime of the caller who began
/// it: nobody would run its commands any more, and none could start another run.
struct Unfinished<'a, A: Aggregate> {
    runtime: &'a AggregateRuntime<A>,
    instance: &'a Arc<Instance<A>>,
    is_finished: bool,
}

impl<A: Aggregate> Drop for Unfinished<'_, A> {
    fn drop(&mut self) {
        if !self.is_finished {
            self.instance.abandon();
            self.runtime.forget(self.instance);
        }
    }
}

impl<A: Aggregate> AggregateRuntime<A> {
    /// The aggregate as it stands: from memory if it is there, else from the store.
    pub(crate) async fn current(&self, stream_id: &StreamId, command_id: CommandId) -> Outcome<A> {
        let loaded = self
            .peek(stream_id)
            .await
            .map_err(|error| replay_error(command_id, stream_id, error))?;
        Ok(Success {
            version: loaded.version,
            position: None,
            events: Vec::new(),
            state: loaded.state,
            repeated: false,
        })
    }

    /// The state of an aggregate, without bringing it to life.
    pub(crate) async fn peek(&self, stream_id: &StreamId) -> Result<Loaded<A>, ReplayError> {
        let known = self.find(stream_id).and_then(|instance| instance.loaded());
        let read = async {
            let Some(mut loaded) = known else {
                return self.load(stream_id).await;
            };
            // Another node may have written since.
            self.catch_up(stream_id, &mut loaded, u64::MAX).await?;
            Ok(loaded)
        };
        panics::catch_async(read).await.unwrap_or_else(|message| {
            Err(ReplayError::Panicked {
                aggregate: A::NAME,
                message,
            })
        })
    }

    /// The outcome that an earlier dispatch with the same id had.
    pub(crate) async fn repeat(
        &self,
        stream_id: &StreamId,
        command_id: CommandId,
        append_id: CommandId,
    ) -> Outcome<A> {
        match self.environment.store.outcome(append_id).await {
            Ok(Some(appended)) => self.repeated(stream_id, command_id, appended).await,
            // It was there a moment ago; only a reset of the store can take it away.
            Ok(None) => self.current(stream_id, command_id).await,
            Err(error) => Err(untold(command_id, stream_id, error)),
        }
    }

    fn settle(
        &self,
        instance: &Arc<Instance<A>>,
        loaded: Option<&Loaded<A>>,
        settle: Settle,
    ) -> Option<Job<A>> {
        let now = Instant::now();
        match instance.settle(loaded, settle, now) {
            Next::Job(job) => Some(job),
            Next::Idle => {
                if let Some(at) = instance.expires_at() {
                    self.environment.sweep.schedule(at);
                }
                None
            }
            Next::Retired => {
                self.forget(instance);
                if let (Some(loaded), Settle::Done(lifespan) | Settle::Refused(lifespan)) = (loaded, settle) {
                    self.snapshot_on_stop(&instance.stream_id, loaded, lifespan);
                }
                None
            }
        }
    }

    fn lifespan_after(&self, order: &Order<A>, outcome: &Outcome<A>) -> Settle {
        let hooks = &self.settings.lifespan;
        match outcome {
            Ok(success) => Settle::Done(asked(|| match success.events.last() {
                Some(event) => (hooks.after_event)(event),
                None => (hooks.after_command)(&AnyCommand::shared(&order.command)),
            })),
            Err(DispatchError::Rejected(error)) => Settle::Refused(asked(|| (hooks.after_error)(error))),
            Err(_) => Settle::Refused(DefaultLifespan::AFTER_ERROR),
        }
    }

    /// Carries one command out, or finds out that it was carried out before.
    async fn process(
        &self,
        stream_id: &StreamId,
        loaded: &mut Option<Loaded<A>>,
        order: &Order<A>,
        reply: &mut Replier<A>,
    ) -> Outcome<A> {
        if !order.is_keyed {
            return self.execute(stream_id, loaded, order, reply).await;
        }
        if let Some(first) = self.first_outcome(stream_id, order).await? {
            return self.repeated(stream_id, order.command_id, first).await;
        }
        order.progress.nothing_stored();
        let outcome = self.execute(stream_id, loaded, order, reply).await;
        let refused = matches!(
            outcome,
            Err(DispatchError::Rejected(_)
                | DispatchError::WrongExpectedVersion { .. }
                | DispatchError::TooManyAttempts { .. })
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
            None => self.load(stream_id).await.map_err(replay_failed)?,
        };
        let current = loaded.insert(known);
        if !fresh
            && order
                .expected_version
                .is_some_and(|expected| expected != current.version)
        {
            // Another node may have written since.
            self.catch_up(stream_id, current, u64::MAX)
                .await
                .map_err(replay_failed)?;
            fresh = true;
        }
        let mut attempt = 1;
        loop {
            if let Some(expected) = order.expected_version
                && expected != current.version
            {
                let actual = current.version;
                let stream_id = stream_id.clone();
                return Err(DispatchError::WrongExpectedVersion {
                    command_id,
                    stream_id,
                    expected,
                    actual,
                });
            }
            let decided = self.decide(stream_id, current, order, reply, attempt).await;
            let writes = decided.as_ref().is_ok_and(|(events, _)| !events.is_empty());
            if !writes && !fresh {
                // An append would notice that another node has written since; a refusal has to look.
                let known = current.version;
                self.catch_up(stream_id, current, u64::MAX)
                    .await
                    .map_err(replay_failed)?;
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
            match self.environment.store.append(append).await {
                Ok(appended) if appended.repeated => {
                    return self.repeated(stream_id, command_id, appended).await;
                }
                Ok(appended) => {
                    current.version += events.len() as u64;
                    if let Some(changed) = changed {
                        current.state = Arc::new(changed);
                    }
                    let position = (appended.position > 0).then_some(appended.position);
                    return Ok(Success::of(current, position, events));
                }
                Err(AppendError::WrongExpectedVersion { actual, .. }) => {
                    order.progress.nothing_stored();
                    let known = current.version;
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
                        monotonic_counter.cqrs.append.conflicts = 1_u64,
                        cqrs.stream_id = %stream_id,
                        cqrs.attempt = attempt,
                        "another writer was first"
                    );
                    tokio::time::sleep(pause_before(attempt)).await;
                    if order.progress.is_given_up() {
                        return Err(abandoned(order));
                    }
                    if actual < known {
                        // The stream was hard-deleted; what is remembered belongs to the one that was.
                        *current = self.load(stream_id).await.map_err(replay_failed)?;
                    } else {
                        self.catch_up(stream_id, current, u64::MAX)
                            .await
                            .map_err(replay_failed)?;
                    }
                    fresh = true;
                    attempt += 1;
                }
                Err(error) => {
                    // What the store has now is not known for sure; the next command reads it.
                    *loaded = None;
                    return Err(store_error(command_id, stream_id, error));
                }
            }
        }
    }

    /// Lets the aggregate decide; gives the events and the state with them.
    async fn decide(
        &self,
        stream_id: &StreamId,
        current: &Loaded<A>,
        order: &Order<A>,
        reply: &mut Replier<A>,
        attempt: u32,
    ) -> Result<(Vec<A::Event>, Option<A>), DispatchError<A::Error>> {
        let context = CommandContext {
            command_id: order.command_id,
            correlation_id: order.correlation_id,
            causation_id: order.causation_id,
            metadata: order.metadata.clone(),
            stream_id: stream_id.clone(),
            version: current.version,
            attempt,
            now: self.environment.clock.now(),
        };
        let state = &*current.state;
        state.before_execute(&context).map_err(DispatchError::Rejected)?;
        let mut emitter = Emitter::new(state);
        let services = &self.environment.services;
        let decided = match (order.run)(&*order.command, services, state, &mut emitter, &context) {
            Execution::Ready(decided) => decided,
            Execution::Pending(deciding) => tokio::select! {
                biased;
                decided = deciding => decided,
                // Nothing would be stored any more, and others wait for the aggregate.
                () = reply.closed() => return Err(abandoned(order)),
            },
        };
        decided.map_err(DispatchError::Rejected)?;
        Ok(emitter.finish())
    }

    fn append_of(
        &self,
        stream_id: &StreamId,
        current: &Loaded<A>,
        order: &Order<A>,
        events: &[A::Event],
        changed: Option<&A>,
    ) -> Result<Append, DispatchError<A::Error>> {
        let id = order.append_id;
        let stream_id = stream_id.clone();
        // Without events there is no new state: then the append only keeps the outcome of its id.
        if self.settings.snapshots == SnapshotPolicy::StateStored && !events.is_empty() {
            let codec = self
                .settings
                .codec
                .as_ref()
                .expect("a state-stored aggregate has a codec");
            let data = (codec.encode)(changed.unwrap_or(&current.state)).map_err(|error| {
                let command_id = order.command_id;
                DispatchError::Unencodable {
                    command_id,
                    what: A::NAME,
                    source: error.into(),
                }
            })?;
            let write = StreamWrite::State {
                stream_id,
                expected: current.version,
                version: current.version + events.len() as u64,
                schema_version: codec.schema_version,
                data,
            };
            return Ok(Append {
                id,
                writes: vec![write],
            });
        }
        let mut metadata = order.metadata.clone();
        if let Some(causation_id) = order.causation_id {
            metadata.set_command_causation_id(causation_id);
        }
        let data = |event: &A::Event| {
            let schema = event.schema();
            Ok(EventData {
                event_id: EventId::new(),
                event_type: schema.name.into(),
                schema_version: schema.version,
                data: self.encode(order, event)?,
                metadata: metadata.clone(),
                causation_id: order.command_id.into(),
                correlation_id: order.correlation_id,
            })
        };
        let events = events.iter().map(data).collect::<Result<_, _>>()?;
        let expected = match self.settings.snapshots {
            SnapshotPolicy::StateStored => ExpectedVersion::Any,
            _ => ExpectedVersion::Exact(current.version),
        };
        Ok(Append::to_stream(id, stream_id, expected, events))
    }

    fn encode(&self, order: &Order<A>, event: &A::Event) -> Result<bytes::Bytes, DispatchError<A::Error>> {
        let command_id = order.command_id;
        let event_type = event.schema().name;
        let data = event.encode().map_err(|error| DispatchError::Unencodable {
            command_id,
            what: event_type,
            source: error.into(),
        })?;
        let limit = self.environment.payload_limit;
        if data.len() > limit {
            return Err(DispatchError::PayloadTooLarge {
                command_id,
                event_type,
                size: data.len(),
                limit,
            });
        }
        Ok(data)
    }

    /// Tells what an earlier append with the same id wrote.
    async fn repeated(&self, stream_id: &StreamId, command_id: CommandId, appended: Appended) -> Outcome<A> {
        let Some(first) = appended
            .streams
            .first()
            .filter(|first| first.stream_id == *stream_id)
        else {
            let first = appended
                .streams
                .first()
                .map_or_else(|| stream_id.clone(), |first| first.stream_id.clone());
            return Err(DispatchError::IdReused {
                command_id,
                stream_id: stream_id.clone(),
                first,
            });
        };
        let read_back =
            panics::catch_async(self.read_back(stream_id, first.events, first.version, &appended));
        read_back
            .await
            .unwrap_or_else(|message| {
                Err(ReplayError::Panicked {
                    aggregate: A::NAME,
                    message,
                })
            })
            .map_err(|error| untold(command_id, stream_id, error))
    }

    async fn read_back(
        &self,
        stream_id: &StreamId,
        count: u64,
        mut version: u64,
        appended: &Appended,
    ) -> Result<Success<A>, ReplayError> {
        let events = match count {
            0 => Vec::new(),
            _ => {
                self.events_between(stream_id, version + 1 - count, version)
                    .await?
            }
        };
        let then = self.load_at(stream_id, version).await?;
        if version == 0 {
            // A state-stored aggregate has no event stream to count in; its state knows its version.
            version = then.version;
        }
        let position = (appended.position > 0).then_some(appended.position);
        Ok(Success {
            version,
            position,
            events,
            state: then.state,
            repeated: true,
        })
    }
}

impl<A: Aggregate> Success<A> {
    fn of(current: &Loaded<A>, position: Option<u64>, events: Vec<A::Event>) -> Self {
        let (version, state) = (current.version, Arc::clone(&current.state));
        Self {
            version,
            position,
            events,
            state,
            repeated: false,
        }
    }
}

/// The answer of a lifespan. The command is committed or refused by now, so a lifespan that panics does not
/// change its outcome.
fn asked(hook: impl FnOnce() -> Lifespan) -> Lifespan {
    panics::catch(hook).unwrap_or_else(|panic| {
        tracing::error!(panic, "a lifespan panicked, the default holds");
        DefaultLifespan::AFTER_COMMAND
    })
}

/// No pause before the first repetition, then a random time up to a bound that doubles to 128 ms.
fn pause_before(attempt: u32) -> Duration {
    match attempt {
        1 => Duration::ZERO,
        _ => Duration::from_millis(1 << attempt.min(7)).mul_f64(fastrand::f64()),
    }
}

/// The command comes to nothing: it took too long, or its caller gave it up.
fn abandoned<A: Aggregate>(order: &Order<A>) -> DispatchError<A::Error> {
    DispatchError::Timeout {
        command: order.command.name(),
        command_id: order.command_id,
        limit: order.limit.unwrap_or(Duration::MAX),
        outcome: TimeoutOutcome::DidNotRun,
    }
}

/// What a panic says of the command: after it was handed to the store, or before it is known whether it was
/// carried out earlier, nothing for sure.
fn panicked<A: Aggregate>(
    order: &Order<A>,
    stream_id: &StreamId,
    message: String,
) -> DispatchError<A::Error> {
    if order.progress.is_open() {
        return unknown(order, stream_id, message);
    }
    DispatchError::Panicked {
        command_id: order.command_id,
        place: PanicPlace::Aggregate(A::NAME),
        message,
    }
}

fn untold<E>(command_id: CommandId, stream_id: &StreamId, source: impl Into<BoxError>) -> DispatchError<E> {
    DispatchError::Untold {
        command_id,
        stream_id: stream_id.clone(),
        source: source.into(),
    }
}

fn unknown<A: Aggregate>(
    order: &Order<A>,
    stream_id: &StreamId,
    source: impl Into<BoxError>,
) -> DispatchError<A::Error> {
    let append_id = order.append_id;
    let source = source.into();
    store_error(
        order.command_id,
        stream_id,
        AppendError::OutcomeUnknown { append_id, source },
    )
}

fn replay_error<E>(command_id: CommandId, stream_id: &StreamId, error: ReplayError) -> DispatchError<E> {
    match error {
        ReplayError::Store(StoreError::StreamDeleted { stream_id }) => {
            let source = AppendError::StreamDeleted {
                stream_id: stream_id.clone(),
            };
            store_error(command_id, &stream_id, source)
        }
        error => DispatchError::Replay {
            command_id,
            stream_id: stream_id.clone(),
            source: Box::new(error),
        },
    }
}

fn store_error<E>(command_id: CommandId, stream_id: &StreamId, error: AppendError) -> DispatchError<E> {
    let stream_id = stream_id.clone();
    let source = Box::new(error);
    match *source {
        AppendError::OutcomeUnknown { .. } => DispatchError::OutcomeUnknown {
            command_id,
            stream_id,
            source,
        },
        _ => DispatchError::Store {
            command_id,
            stream_id,
            source,
        },
    }
}
