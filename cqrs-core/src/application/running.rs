use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::aggregate::{Aggregate, At, LiveAggregate, ReplayError, SnapshotPolicy};
use crate::application::{Application, ApplicationState, Config, Core, Health, ShutdownReport};
use crate::command::{Command, InvalidIdentity, stream_id};
use crate::dispatch::{Dispatch, DispatchJson};
use crate::event::EventRegistry;
use crate::handler::{HandlerHandle, HandlerStatus, Role};
use crate::lineage::Lineage;
use crate::process_manager::ProcessManagerHandle;
use crate::projection::{Projection, ProjectionHandle};
use crate::router::CarriedBy;
use crate::schedule::Schedules;
use crate::store::{EventStore, StoreError, StreamId};

/// A handle to a running application instance. Clones lead to the same instance.
///
/// An instance runs until [`Running::shutdown`]. When the last handle is dropped without it, its tasks are
/// told to stop, but nobody waits for them.
pub struct Running<A> {
    core: Arc<Core>,
    /// Handles made inside handlers have none: a handler does not keep its own application running.
    _last: Option<Arc<LastHandle>>,
    application: PhantomData<fn() -> A>,
}

/// Stops the instance's tasks when the last handle goes.
struct LastHandle(Arc<Core>);

impl Drop for LastHandle {
    fn drop(&mut self) {
        if self.0.state() == ApplicationState::Running {
            tracing::warn!(
                cqrs.application = self.0.name(),
                "the last handle was dropped without shutdown, the application stops"
            );
        }
        self.0.abandon();
    }
}

/// The state of an aggregate, as somebody saw it.
#[derive(Debug)]
#[non_exhaustive]
pub struct AggregateState<A> {
    /// The stream of the aggregate.
    pub stream_id: StreamId,
    /// How many events led to the state; 0 when there are none.
    pub version: u64,
    /// The state.
    pub state: Arc<A>,
}

/// Why the state of an aggregate could not be seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The identity cannot name a stream.
    #[error("{identity:?} does not identify an aggregate")]
    InvalidIdentity {
        /// The identity.
        identity: String,
        /// Why not.
        #[source]
        source: InvalidIdentity,
    },
    /// The aggregate is state-stored: its latest state is all that is kept.
    #[error("{aggregate} is state-stored, stream {stream_id:?} has no earlier states")]
    NoHistory {
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// The name of the aggregate's type.
        aggregate: &'static str,
    },
    /// The state could not be read.
    #[error("stream {stream_id:?} could not be replayed")]
    Replay {
        /// The stream of the aggregate.
        stream_id: StreamId,
        /// Why not.
        #[source]
        source: ReplayError,
    },
}

impl<A: Application> Running<A> {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let last = Arc::new(LastHandle(Arc::clone(&core)));
        Self { core, _last: Some(last), application: PhantomData }
    }

    /// A handle for code that runs inside the application; `None` when it is of another type.
    pub(crate) fn inside(core: Arc<Core>) -> Option<Self> {
        let is_own = core.application == TypeId::of::<A>();
        is_own.then_some(Self { core, _last: None, application: PhantomData })
    }

    /// Dispatches a command: set options on what this gives, and await it.
    ///
    /// Compiles for commands whose router the application lists.
    pub fn dispatch<C, Place>(&self, command: C) -> Dispatch<C>
    where
        C: Command + CarriedBy<A::Routers, Place>,
    {
        Dispatch::new(Arc::clone(&self.core), command)
    }

    /// Dispatches a command by its name, for adapters that receive commands as JSON.
    ///
    /// ```no_run
    /// # use cqrs_core::application::Application;
    /// # async fn example<A: Application>(bank: A) -> Result<(), Box<dyn std::error::Error>> {
    /// use serde_json::json;
    ///
    /// let outcome = bank.dispatch_json("Withdraw", json!({ "account_id": "a-1", "amount": 10 })).await?;
    /// println!("version {}", outcome.version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dispatch_json(&self, command: &str, data: Value) -> DispatchJson {
        DispatchJson::new(Arc::clone(&self.core), command, data)
    }

    /// The names of the commands that can be dispatched, in order.
    #[must_use]
    pub fn commands(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.core.commands.keys().copied().collect();
        names.sort_unstable();
        names
    }
}

impl<A> Running<A> {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The name of the instance.
    #[must_use]
    pub fn name(&self) -> &str {
        self.core.name()
    }

    /// What the instance is doing.
    #[must_use]
    pub fn state(&self) -> ApplicationState {
        self.core.state()
    }

    /// The bounds and intervals of the instance.
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// The store of the instance.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.core.store
    }

    /// The event types that the instance knows.
    #[must_use]
    pub fn events(&self) -> &EventRegistry {
        &self.core.registry
    }

    /// Questions about what led to what: by correlation, from a cause to its effects and back.
    ///
    /// ```no_run
    /// # use cqrs_core::application::Application;
    /// # async fn example<A: Application>(
    /// #     bank: A,
    /// #     command: cqrs_core::id::CommandId,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let tree = bank.lineage().tree(command).await?;
    /// for node in tree.nodes() {
    ///     println!("{:indent$}{}", "", node.event.event_type, indent = 2 * node.depth);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn lineage(&self) -> Lineage<'_> {
        Lineage::new(&*self.core.store)
    }

    /// How the instance is.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn health(&self) -> Result<Health, StoreError> {
        self.core.health().await
    }

    /// What the event handlers are doing, in the order in which they are listed.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn handlers(&self) -> Result<Vec<HandlerStatus>, StoreError> {
        self.core.handler_statuses().await
    }

    /// An event handler, to look after it; `None` when there is none of this name.
    ///
    /// ```no_run
    /// # use cqrs_core::application::Application;
    /// # async fn example<A: Application>(bank: A) -> Result<(), Box<dyn std::error::Error>> {
    /// let emails = bank.handler("welcome-email").ok_or("there is no such handler")?;
    /// for parked in emails.parked(None, 100).await? {
    ///     println!("{} waits since {}: {}", parked.key, parked.parked_at, parked.error);
    ///     emails.retry_parked(&parked.key).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn handler(&self, name: &str) -> Option<HandlerHandle<'_>> {
        self.core.board.get(name).map(|entry| HandlerHandle::new(&self.core, entry))
    }

    /// A projection, to wait for its rows and to look after them; `None` when the application has none of this type
    /// under [its own name](Projection::NAME).
    ///
    /// ```no_run
    /// # use cqrs_core::application::Application;
    /// # use cqrs_core::projection::Projection;
    /// # async fn example<A: Application, Balances: Projection>(bank: A) -> Result<(), Box<dyn std::error::Error>> {
    /// let balances = bank.projection::<Balances>().ok_or("there is no such projection")?;
    /// balances.rebuild().await?.switched().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn projection<P: Projection>(&self) -> Option<ProjectionHandle<'_>> {
        self.projection_named(P::NAME)
    }

    /// The projection of this name.
    #[must_use]
    pub fn projection_named(&self, name: &str) -> Option<ProjectionHandle<'_>> {
        self.core.board.get(name).and_then(|entry| ProjectionHandle::new(&self.core, entry))
    }

    /// A process manager, to look after it and its instances; `None` when there is none of this name.
    #[must_use]
    pub fn process_manager(&self, name: &str) -> Option<ProcessManagerHandle<'_>> {
        let entry = self.core.board.get(name).filter(|entry| entry.role == Role::ProcessManager)?;
        Some(ProcessManagerHandle::new(HandlerHandle::new(&self.core, entry)))
    }

    /// The commands that are scheduled, and those to be. The application must list
    /// [`Scheduler`](crate::schedule::Scheduler) among its process managers.
    ///
    /// ```no_run
    /// # use cqrs_core::{application::Application, command::Command};
    /// # async fn example<A: Application>(bank: A, clean_up: impl Command) -> Result<(), Box<dyn std::error::Error>> {
    /// use cqrs_core::schedule::Schedule;
    ///
    /// bank.schedules().add(Schedule::recurring(&clean_up, "0 3 * * *")?.name("clean-up")).await?;
    /// bank.schedules().cancel("clean-up").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn schedules(&self) -> Schedules<'_> {
        Schedules::new(&self.core)
    }

    /// The aggregates that are in memory, ordered by stream.
    #[must_use]
    pub fn live_aggregates(&self) -> Vec<LiveAggregate> {
        self.core.aggregates.list()
    }

    /// The state of an aggregate: what its latest events, whoever wrote them, made of it. It is not brought
    /// to life for that. An aggregate without events has the initial state and version 0.
    ///
    /// # Errors
    /// When the identity cannot name a stream, or the state cannot be read.
    pub async fn aggregate_state<G: Aggregate>(
        &self,
        identity: impl fmt::Display,
    ) -> Result<AggregateState<G>, StateError> {
        self.aggregate_state_of(stream_of::<G>(identity)?).await
    }

    /// The state of the aggregate with that stream; for aggregates whose commands set a prefix of their own.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn aggregate_state_of<G: Aggregate>(
        &self,
        stream_id: StreamId,
    ) -> Result<AggregateState<G>, StateError> {
        match self.core.aggregates.of::<G>().peek(&stream_id).await {
            Ok(loaded) => Ok(AggregateState { stream_id, version: loaded.version, state: loaded.state }),
            Err(source) => Err(StateError::Replay { stream_id, source }),
        }
    }

    /// The state of an aggregate as it was then, read from its events. [`At`] says what counts as before and behind.
    ///
    /// No live instance is asked or brought to life. The events are read in pages ([`Config::replay_page`]), from the
    /// first one on unless a snapshot helps, which can only be for a version: reading what a long stream was at a
    /// position or a time takes as long as replaying it up to there.
    ///
    /// ```no_run
    /// # use cqrs_core::aggregate::Aggregate;
    /// # use cqrs_core::application::Application;
    /// # async fn example<A: Application, Account: Aggregate>(
    /// #     bank: A,
    /// #     new_year: chrono::DateTime<chrono::Utc>,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// use cqrs_core::aggregate::At;
    ///
    /// let then = bank.aggregate_state_at::<Account>("a-1", At::Time(new_year)).await?;
    /// let at_first = bank.aggregate_state_at::<Account>("a-1", At::Version(1)).await?;
    /// println!("{} was at version {} by then", at_first.stream_id, then.version);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the identity cannot name a stream, the aggregate is state-stored, or the state cannot be read. The
    /// stream of an aggregate that was deleted softly cannot be read; its events are found in the log only.
    pub async fn aggregate_state_at<G: Aggregate>(
        &self,
        identity: impl fmt::Display,
        at: At,
    ) -> Result<AggregateState<G>, StateError> {
        self.aggregate_state_of_at(stream_of::<G>(identity)?, at).await
    }

    /// [`Running::aggregate_state_at`] for the aggregate with that stream; for aggregates whose commands set a prefix
    /// of their own.
    ///
    /// # Errors
    /// When the aggregate is state-stored, or the state cannot be read.
    pub async fn aggregate_state_of_at<G: Aggregate>(
        &self,
        stream_id: StreamId,
        at: At,
    ) -> Result<AggregateState<G>, StateError> {
        let aggregates = self.core.aggregates.of::<G>();
        if aggregates.settings.snapshots == SnapshotPolicy::StateStored {
            return Err(StateError::NoHistory { stream_id, aggregate: G::NAME });
        }
        match aggregates.peek_at(&stream_id, at).await {
            Ok(loaded) => Ok(AggregateState { stream_id, version: loaded.version, state: loaded.state }),
            Err(source) => Err(StateError::Replay { stream_id, source }),
        }
    }

    /// Stops the instance: no more commands are taken, those that were are finished, handlers finish the
    /// event they are at and save how far they came. Takes at most the configured time, 30 s unless set.
    /// Later calls wait for the first, for their own time at most, and report what is unfinished then.
    ///
    /// # Cancel safety
    /// When the future is dropped, the instance is left half stopped: it takes no more commands, what was
    /// accepted goes on, and its name stays taken. A later call goes on where this one was.
    pub async fn shutdown(&self) -> ShutdownReport {
        self.core.shut_down(self.core.config.shutdown_deadline).await
    }

    /// [`Running::shutdown`] with another limit.
    ///
    /// # Cancel safety
    /// As [`Running::shutdown`].
    pub async fn shutdown_within(&self, limit: Duration) -> ShutdownReport {
        self.core.shut_down(limit).await
    }
}

impl<A> Clone for Running<A> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), _last: self._last.clone(), application: PhantomData }
    }
}

impl<A> fmt::Debug for Running<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.core, formatter)
    }
}

/// The stream of the aggregate with that identity.
fn stream_of<G: Aggregate>(identity: impl fmt::Display) -> Result<StreamId, StateError> {
    let identity = identity.to_string();
    stream_id(G::STREAM_PREFIX, &identity).map_err(|source| StateError::InvalidIdentity { identity, source })
}
