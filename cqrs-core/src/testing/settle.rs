use std::fmt;
use std::future::IntoFuture;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::application::{Application, ApplicationState, Core};
use crate::handler::{Entry, HandlerStatus, Role};
use crate::process_manager::{INSTANCE, TIMER, Timer};
use crate::store::StoreError;

/// How long the kit waits, unless told otherwise.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// Waits until the application has nothing left to do: no dispatch is under way, no aggregate is at work or
/// takes a snapshot, every handler has come to the end of the log, with all that handlers have dispatched
/// meanwhile, and no timer and no scheduled command is due.
///
/// Awaiting it panics when that takes longer than 5 s or a handler has failed; [`Settle::check`] gives the
/// error instead. It sleeps nowhere, so that it takes as long as the work does, and no time with tokio's
/// clock paused.
///
/// It does not see what a handler has spawned to be dispatched later, and waits in vain inside a handler.
///
/// ```no_run
/// # async fn example(bank: impl cqrs_core::application::Application) {
/// use std::time::Duration;
///
/// use cqrs_core::testing::settle;
///
/// settle(&bank).await;
/// settle(&bank).within(Duration::from_secs(30)).without("newsletter").await;
/// # }
/// ```
#[track_caller]
pub fn settle(application: &impl Application) -> Settle {
    Settle::of(Arc::clone(application.core()), Location::caller())
}

/// A wait that has not begun; made by [`settle`].
#[must_use = "nothing is waited for until it is awaited"]
pub struct Settle {
    core: Arc<Core>,
    limit: Duration,
    without: Vec<String>,
    caller: &'static Location<'static>,
}

/// Why an application did not settle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// Handlers gave up or were stopped in front of an event, and will not come further.
    #[error("application {application:?} cannot settle: {}", describe(handlers))]
    HandlersDown {
        /// The application's name.
        application: String,
        /// Those handlers.
        handlers: Vec<HandlerStatus>,
    },
    /// It took too long.
    #[error(
        "application {application:?} did not settle within {limit:?}: {dispatches} dispatches and {working} aggregates or snapshots at work, {}",
        describe(behind)
    )]
    TimedOut {
        /// The application's name.
        application: String,
        /// The limit.
        limit: Duration,
        /// How many dispatches are under way.
        dispatches: usize,
        /// How many aggregates are at work, and snapshots under way.
        working: usize,
        /// The handlers that have not come to the end of the log.
        behind: Vec<HandlerStatus>,
    },
    /// The application does not run.
    #[error("application {application:?} is {state}")]
    NotRunning {
        /// The application's name.
        application: String,
        /// What it is doing.
        state: ApplicationState,
    },
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

impl Settle {
    pub(crate) fn of(core: Arc<Core>, caller: &'static Location<'static>) -> Self {
        Self { core, limit: LIMIT, without: Vec::new(), caller }
    }

    /// How long it may take; 5 s unless set.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Does not look at the handler of this name: it may be behind, or have failed on purpose.
    pub fn without(mut self, handler: impl Into<String>) -> Self {
        self.without.push(handler.into());
        self
    }

    pub(crate) fn without_all(mut self, handlers: &[String]) -> Self {
        self.without.extend_from_slice(handlers);
        self
    }

    /// Waits, and gives the reason when the application did not settle.
    ///
    /// # Errors
    /// When the limit has passed, a handler has failed, the application does not run, or the store fails.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn check(self) -> Result<(), SettleError> {
        let application = self.core.name().to_owned();
        let state = self.core.state();
        if state != ApplicationState::Running {
            return Err(SettleError::NotRunning { application, state });
        }
        if let Ok(settled) = timeout(self.limit, self.rest()).await {
            return settled;
        }
        Err(SettleError::TimedOut {
            application,
            limit: self.limit,
            dispatches: self.core.dispatches.len(),
            working: self.core.aggregates.environment().working.len(),
            behind: self.handlers(|handler| handler.lag > 0).await?,
        })
    }

    /// Waits for one after the other, until a look at all of them finds that nothing has happened since.
    ///
    /// A handler moves on in the log when the dispatches that it awaits are done, so that what they appended
    /// is seen as a new end of the log. An aggregate begins to work before its dispatch ends, so that a
    /// dispatch that was given up is still waited for.
    async fn rest(&self) -> Result<(), SettleError> {
        let core = &self.core;
        let working = &core.aggregates.environment().working;
        loop {
            core.dispatches.wait().await;
            working.wait().await;
            let head = core.store.head().await?;
            if !core.board.reach(head, &self.without).await {
                let handlers = self.handlers(|handler| handler.state.is_down()).await?;
                if handlers.is_empty() {
                    // It was removed meanwhile.
                    continue;
                }
                let application = core.name().to_owned();
                return Err(SettleError::HandlersDown { application, handlers });
            }
            if self.is_anything_due().await? {
                tokio::task::yield_now().await;
                continue;
            }
            if core.dispatches.is_empty() && working.is_empty() && core.store.head().await? == head {
                return Ok(());
            }
        }
    }

    /// Whether a process manager has something to do by now that no event brings. Where something is parked, timers may
    /// have to wait behind it.
    async fn is_anything_due(&self) -> Result<bool, StoreError> {
        let core = &self.core;
        let now = core.clock.now();
        let is_at_work = |entry: &Arc<Entry>| {
            let status = entry.status(0);
            entry.role == Role::ProcessManager
                && !status.state.is_down()
                && status.parked == 0
                && !self.without.iter().any(|name| **name == *entry.name)
        };
        for entry in core.board.entries().into_iter().filter(is_at_work) {
            let timers = core.checkpoints.due_records(&entry.name, TIMER, now, usize::MAX).await?;
            // One that cannot be read is left to another version of the program.
            if timers.iter().any(|timer| Timer::of_record(timer).is_ok())
                || !core.checkpoints.due_records(&entry.name, INSTANCE, now, 1).await?.is_empty()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn handlers(
        &self,
        wanted: impl Fn(&HandlerStatus) -> bool,
    ) -> Result<Vec<HandlerStatus>, StoreError> {
        let statuses = self.core.board.statuses(self.core.store.head().await?);
        let counts = |handler: &HandlerStatus| !self.without.contains(&handler.name) && wanted(handler);
        Ok(statuses.into_iter().filter(counts).collect())
    }
}

impl IntoFuture for Settle {
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let caller = self.caller;
            if let Err(error) = self.check().await {
                panic!("settle at {caller}: {error}");
            }
        })
    }
}

impl fmt::Debug for Settle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Settle")
            .field("application", &self.core.name())
            .field("limit", &self.limit)
            .field("without", &self.without)
            .finish_non_exhaustive()
    }
}

/// The handlers in a sentence.
pub(crate) fn describe(handlers: &[HandlerStatus]) -> String {
    if handlers.is_empty() {
        return "no handler is behind".to_owned();
    }
    let one = |handler: &HandlerStatus| {
        let HandlerStatus { name, state, position, .. } = handler;
        let end = position + handler.lag;
        let error = handler.last_error.as_deref().map(|error| format!(": {error}"));
        let error = error.unwrap_or_default();
        format!("handler {name:?} is {state} at {position} of {end}{error}")
    };
    handlers.iter().map(one).collect::<Vec<_>>().join("; ")
}
