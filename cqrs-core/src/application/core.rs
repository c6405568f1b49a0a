use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering, fence};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::aggregate::Aggregates;
use crate::ambient::{Ambient, HandlerKey};
use crate::application::instances::Claim;
use crate::application::{ApplicationState, Config, Health, ShutdownReport};
use crate::clock::Clock;
use crate::command::CommandRegistration;
use crate::dispatch::DispatchDefaults;
use crate::event::EventRegistry;
use crate::handler::HandlerBoard;
use crate::lease::Leases;
use crate::middleware::Chain;
use crate::store::{CheckpointStore, EventStore, StoreError};
use crate::subscription::Tail;
use crate::telemetry::Propagation;

/// A running application instance: what all its handles share.
pub(crate) struct Core {
    pub(crate) name: Arc<str>,
    /// The type that `application!` made.
    pub(crate) application: TypeId,
    pub(crate) instance: u64,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) checkpoints: Arc<dyn CheckpointStore>,
    pub(crate) leases: Arc<Leases>,
    pub(crate) tail: Arc<Tail>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) propagation: Propagation,
    pub(crate) registry: Arc<EventRegistry>,
    pub(crate) aggregates: Aggregates,
    pub(crate) board: HandlerBoard,
    pub(crate) config: Config,
    pub(crate) routes: HashMap<TypeId, Route>,
    pub(crate) commands: HashMap<&'static str, &'static CommandRegistration>,
    pub(crate) state: AtomicU8,
    /// Counts the dispatches of callers outside the handlers. It is closed from the start, which keeps
    /// nobody out and lets `wait` tell at any time when there is none.
    pub(crate) dispatches: TaskTracker,
    pub(crate) handlers: tokio::sync::Mutex<Vec<(Arc<str>, JoinHandle<()>)>>,
    /// Counts everything else that runs: commands, snapshots, the tail reader.
    pub(crate) tasks: TaskTracker,
    pub(crate) stop_handlers: CancellationToken,
    pub(crate) stop_services: CancellationToken,
    /// Held by the shutdown that is under way; empty when one is done.
    pub(crate) shutdown: tokio::sync::Mutex<Option<Claim>>,
}

/// How commands of one router are carried.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) chain: Chain,
    pub(crate) defaults: DispatchDefaults,
}

const STATES: [ApplicationState; 4] = [
    ApplicationState::Starting,
    ApplicationState::Running,
    ApplicationState::ShuttingDown,
    ApplicationState::Stopped,
];

/// Long enough, and still a time that a clock can show.
const FOR_EVER: Duration = Duration::from_secs(30 * 365 * 24 * 3_600);

impl Core {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn state(&self) -> ApplicationState {
        STATES[usize::from(self.state.load(Ordering::Acquire))]
    }

    pub(crate) fn set_state(&self, state: ApplicationState) {
        let index = STATES.iter().position(|known| *known == state).unwrap_or(STATES.len() - 1);
        self.state.store(u8::try_from(index).unwrap_or(u8::MAX), Ordering::Release);
    }

    /// Lets a dispatch in; it counts as long as the token lives. A handler that is finishing its event may
    /// dispatch while the application shuts down, nobody else.
    pub(crate) fn admit(
        &self,
        ambient: Option<&Ambient>,
    ) -> Result<Option<TaskTrackerToken>, ApplicationState> {
        let inside = ambient.and_then(|ambient| ambient.handler.as_ref()).is_some_and(|key| self.owns(key));
        // Counted before the state is looked at, so that a shutdown either counts it or is seen here.
        let token = (!inside).then(|| self.dispatches.token());
        fence(Ordering::SeqCst);
        match self.state() {
            ApplicationState::Running => Ok(token),
            ApplicationState::Starting | ApplicationState::ShuttingDown if inside => Ok(token),
            state => Err(state),
        }
    }

    /// Whether a handler belongs to this instance.
    pub(crate) fn owns(&self, key: &HandlerKey) -> bool {
        key.instance == self.instance
    }

    pub(crate) fn route(&self, router: TypeId) -> Option<&Route> {
        self.routes.get(&router)
    }

    /// Whether a command type is registered. One that is not has never been checked: its aggregate's events
    /// may be unknown, and its handler may have no instance.
    pub(crate) fn knows(&self, name: &str, command_type: TypeId) -> bool {
        self.command(name).is_some_and(|registration| (registration.command)() == command_type)
    }

    pub(crate) fn command(&self, name: &str) -> Option<&'static CommandRegistration> {
        self.commands.get(name).copied()
    }

    pub(crate) async fn health(&self) -> Result<Health, StoreError> {
        Ok(Health {
            application: self.name.as_ref().to_owned(),
            state: self.state(),
            handlers: self.handler_statuses().await?,
            live_aggregates: self.aggregates.len(),
            memory: self.aggregates.environment().bound.status(),
            dispatches: self.dispatches.len(),
        })
    }

    /// Stops in the reverse order of starting: no more dispatches, then the handlers, then the rest.
    ///
    /// Dispatches have half of the time, so that a command that hangs leaves some for the handlers.
    pub(crate) async fn shut_down(&self, limit: Duration) -> ShutdownReport {
        let started = Instant::now();
        let after = |limit| started.checked_add(limit).unwrap_or(started + FOR_EVER);
        let (half, deadline) = (after(limit / 2), after(limit));
        let Ok(mut claim) = timeout_at(deadline, self.shutdown.lock()).await else {
            // Another shutdown is under way and takes longer than this one may.
            return ShutdownReport {
                took: started.elapsed(),
                unfinished_dispatches: self.dispatches.len(),
                unfinished_handlers: self.board.unfinished(),
                unfinished_tasks: 0,
            };
        };
        if claim.is_none() {
            return ShutdownReport::default();
        }
        self.set_state(ApplicationState::ShuttingDown);
        fence(Ordering::SeqCst);
        tracing::info!(cqrs.application = &*self.name, "shutting down");

        let _ = timeout_at(half, self.dispatches.wait()).await;

        self.stop_handlers.cancel();
        let unfinished_handlers = self.join_handlers(deadline).await;

        let unfinished_dispatches = match self.dispatches.is_empty() {
            true => 0,
            false => {
                let _ = timeout_at(deadline, self.dispatches.wait()).await;
                self.dispatches.len()
            }
        };
        self.stop_services.cancel();
        self.tasks.close();
        let _ = timeout_at(deadline, self.tasks.wait()).await;
        self.aggregates.environment().close();
        self.set_state(ApplicationState::Stopped);

        let report = ShutdownReport {
            took: started.elapsed(),
            unfinished_dispatches,
            unfinished_handlers,
            unfinished_tasks: self.tasks.len().saturating_sub(unfinished_dispatches),
        };
        if report.is_clean() {
            tracing::info!(cqrs.application = &*self.name, "stopped: {report}");
        } else {
            tracing::error!(cqrs.application = &*self.name, "stopped: {report}");
        }
        // Only now: a shutdown that was dropped half-way still has the name, and can be begun again.
        claim.take();
        report
    }

    /// Tells everything to stop and waits for nothing. The name stays taken until the last task has ended: the
    /// next instance of that name must not handle an event that a handler of this one is still at.
    pub(crate) fn abandon(&self) {
        self.set_state(ApplicationState::Stopped);
        self.stop_handlers.cancel();
        self.stop_services.cancel();
    }

    /// Waits for the handlers to finish their events; ends those that do not, and names them.
    async fn join_handlers(&self, deadline: Instant) -> Vec<String> {
        let mut handlers = self.handlers.lock().await;
        let mut unfinished = Vec::new();
        // One leaves the list when it is done, so that none is forgotten when this is dropped half-way.
        while let Some((name, task)) = handlers.last_mut() {
            if timeout_at(deadline, &mut *task).await.is_err() {
                task.abort();
                unfinished.push(name.as_ref().to_owned());
            }
            handlers.pop();
        }
        unfinished.reverse();
        unfinished
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Application")
            .field("name", &self.name)
            .field("state", &self.state())
            .field("store", &self.store)
            .field("handlers", &self.board)
            .finish_non_exhaustive()
    }
}
