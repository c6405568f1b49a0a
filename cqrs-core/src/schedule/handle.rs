use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::Span;

use crate::ambient::Ambient;
use crate::application::Core;
use crate::handler::{Entry, HandlerHandle, Role};
use crate::id::{CausationId, CommandId, CorrelationId};
use crate::process_manager::{ProcessManager as _, TIMER, Timer};
use crate::schedule::scheduled::When;
use crate::schedule::{CronError, Schedule, Scheduler, next_time};
use crate::store::{HandlerCommit, StoreError};

/// The scheduled commands of a running application: [`Running::schedules`] gives them.
///
/// [`Running::schedules`]: crate::application::Running::schedules
#[derive(Clone)]
pub struct Schedules<'a> {
    core: &'a Core,
    entry: Option<Arc<Entry>>,
}

/// A command that is going to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScheduledCommand {
    /// Its name.
    pub name: String,
    /// The command's name.
    pub command: String,
    /// When.
    pub due_at: DateTime<Utc>,
    /// The pattern of one that recurs.
    pub pattern: Option<String>,
}

/// Why nothing was scheduled or cancelled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The application does not run the [`Scheduler`].
    #[error(
        "application {application:?} schedules nothing: list `cqrs::schedule::Scheduler` among its process managers"
    )]
    NoScheduler {
        /// The application's name.
        application: String,
    },
    /// There is one of this name.
    #[error("{name:?} is scheduled already")]
    AlreadyScheduled {
        /// The name.
        name: String,
    },
    /// There is none of this name, or it is carried out already.
    #[error("{name:?} is not scheduled")]
    NotScheduled {
        /// The name.
        name: String,
    },
    /// No router of the application carries the command.
    #[error("application {application:?} does not know the command {command:?}")]
    UnknownCommand {
        /// The application's name.
        application: String,
        /// The command's name.
        command: String,
    },
    /// The command has no JSON form.
    #[error("the command cannot be encoded: {0}")]
    Unencodable(String),
    /// The pattern tells no times any more.
    #[error(transparent)]
    Cron(#[from] CronError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<'a> Schedules<'a> {
    pub(crate) fn new(core: &'a Core) -> Self {
        let is_scheduler = |entry: &Arc<Entry>| entry.role == Role::ProcessManager;
        Self { core, entry: core.board.get(Scheduler::NAME).filter(is_scheduler) }
    }

    /// Schedules a command. Inside a handler it is caused by what is handled, as if it were dispatched there.
    ///
    /// # Errors
    /// When there is one of that name, the command cannot be carried out here, or the store cannot be reached. Of two
    /// that schedule under one name at the same moment the later one may replace the other.
    pub async fn add(&self, schedule: Schedule) -> Result<(), ScheduleError> {
        self.add_all([schedule]).await
    }

    /// Schedules commands, all or none.
    ///
    /// # Errors
    /// As [`Schedules::add`]; also when two have one name.
    pub async fn add_all(&self, schedules: impl IntoIterator<Item = Schedule>) -> Result<(), ScheduleError> {
        let handler = self.handler()?;
        let mut commit = HandlerCommit::new();
        for schedule in schedules {
            let record = self.timer(schedule)?.record();
            let name = (record.kind.clone(), record.key.clone());
            if let Some(Some(first)) = commit.records.get(&name) {
                let name = Timer::of_record(first)?.instance.as_ref().to_owned();
                return Err(ScheduleError::AlreadyScheduled { name });
            }
            commit = commit.put(record);
        }
        let keys: Vec<String> = commit.records.keys().map(|(_, key)| key.clone()).collect();
        let known = self.core.checkpoints.records_of(Scheduler::NAME, TIMER, &keys).await?;
        if let Some(known) = known.first() {
            let name = Timer::of_record(known)?.instance.as_ref().to_owned();
            return Err(ScheduleError::AlreadyScheduled { name });
        }
        Ok(handler.write(commit).await?)
    }

    /// Cancels a scheduled command: it is not carried out when it becomes due later.
    ///
    /// One that is due at this moment may be under way already: then it is carried out all the same, and one that recurs
    /// may be scheduled again. Whoever must be sure asks [`Schedules::get`] a moment after it was due, and cancels again.
    /// One that is added under the same name in that moment may be lost.
    ///
    /// # Errors
    /// When none of this name is scheduled, or the store cannot be reached.
    pub async fn cancel(&self, name: &str) -> Result<(), ScheduleError> {
        let handler = self.handler()?;
        let key = Timer::key(name, "");
        if self.core.checkpoints.record(Scheduler::NAME, TIMER, &key).await?.is_none() {
            return Err(ScheduleError::NotScheduled { name: name.to_owned() });
        }
        Ok(handler.write(HandlerCommit::new().remove(TIMER, key)).await?)
    }

    /// A scheduled command; `None` when none of this name is.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn get(&self, name: &str) -> Result<Option<ScheduledCommand>, ScheduleError> {
        let key = Timer::key(name, "");
        let record = self.core.checkpoints.record(Scheduler::NAME, TIMER, &key).await?;
        Ok(record.as_ref().map(Timer::of_record).transpose()?.map(ScheduledCommand::of_timer))
    }

    /// The commands that are due first, at most `limit` of them.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn next(&self, limit: usize) -> Result<Vec<ScheduledCommand>, ScheduleError> {
        let at = DateTime::<Utc>::MAX_UTC;
        let records = self.core.checkpoints.due_records(Scheduler::NAME, TIMER, at, limit).await?;
        let timers = records.iter().map(Timer::of_record);
        Ok(timers.map(|timer| timer.map(ScheduledCommand::of_timer)).collect::<Result<_, _>>()?)
    }

    fn handler(&self) -> Result<HandlerHandle<'a>, ScheduleError> {
        match &self.entry {
            Some(entry) => Ok(HandlerHandle::new(self.core, Arc::clone(entry))),
            None => Err(ScheduleError::NoScheduler { application: self.core.name().to_owned() }),
        }
    }

    fn timer(&self, schedule: Schedule) -> Result<Timer, ScheduleError> {
        let Schedule { name, content, when, mut metadata } = schedule;
        let content = content.map_err(ScheduleError::Unencodable)?;
        if self.core.command(&content.name).is_none() {
            let application = self.core.name().to_owned();
            return Err(ScheduleError::UnknownCommand {
                application,
                command: content.name.as_ref().to_owned(),
            });
        }
        self.core.propagation.stamp(&Span::current(), &mut metadata);
        let (due_at, pattern) = match when {
            When::Once(at) => (at, None),
            When::Recurring(pattern) => (next_time(&pattern, self.core.clock.now())?, Some(pattern)),
        };
        let cause = Ambient::current().map(|ambient| (ambient.causation_id, ambient.correlation_id));
        let (causation_id, correlation_id) =
            cause.unwrap_or_else(|| (CausationId::from(CommandId::new()), CorrelationId::new()));
        Ok(Timer {
            instance: name.into(),
            name: String::new(),
            started: 0,
            step: 0,
            due_at,
            pattern,
            causation_id,
            correlation_id,
            metadata,
            command: Some(content),
            attempts: 0,
            first_failed_at: None,
            stuck: None,
        })
    }
}

impl fmt::Debug for Schedules<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Schedules").field("application", &self.core.name()).finish_non_exhaustive()
    }
}

impl ScheduledCommand {
    fn of_timer(timer: Timer) -> Self {
        Self {
            name: timer.instance.as_ref().to_owned(),
            command: timer.command.map_or_else(String::new, |command| command.name.as_ref().to_owned()),
            due_at: timer.due_at,
            pattern: timer.pattern,
        }
    }
}
