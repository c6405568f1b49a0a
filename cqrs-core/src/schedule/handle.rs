use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::Span;

use crate::ambient::Ambient;
use crate::application::Core;
use crate::error_text::error_text;
use crate::handler::{Entry, HandlerHandle, Role, is_key};
use crate::id::{CausationId, CommandId, CorrelationId};
use crate::process_manager::{ProcessManager as _, TIMER, Timer};
use crate::schedule::scheduled::When;
use crate::schedule::{CronError, Schedule, Scheduler, next_time};
use crate::store::{CheckpointError, HandlerCommit, HandlerRecord, StoreError};

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
    /// The command's name; empty when what is kept cannot be read.
    pub command: String,
    /// When.
    pub due_at: DateTime<Utc>,
    /// The pattern of one that recurs.
    pub pattern: Option<String>,
    /// Why what is kept of it cannot be read, if so: a newer version of the program may have written it. It is not carried
    /// out by this version. Its name is taken, and it can be cancelled.
    pub unreadable: Option<String>,
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
    /// There is none of this name, or it is carried out already, or on its way.
    #[error("{name:?} is not scheduled")]
    NotScheduled {
        /// The name.
        name: String,
    },
    /// No name: it has more than 255 bytes, or a NUL character, which no database keeps in a key.
    #[error("{name:?} cannot name what is scheduled: give it at most 255 bytes without a NUL character")]
    InvalidName {
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
    /// Of two that schedule under one name at the same moment, on whichever nodes, one does, and the other one is told
    /// [`ScheduleError::AlreadyScheduled`].
    ///
    /// # Errors
    /// When there is one of that name, the command cannot be carried out here, or the store cannot be reached. With
    /// [`ScheduleError::Store`] it may be scheduled all the same: [`Schedules::get`] tells.
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
            if commit.records.contains_key(&(record.kind.clone(), record.key.clone())) {
                return Err(ScheduleError::AlreadyScheduled { name: Timer::instance_of_key(&record.key) });
            }
            commit = commit.put_new(record);
        }
        match handler.change(commit).await {
            Err(CheckpointError::Changed { key, .. }) => {
                Err(ScheduleError::AlreadyScheduled { name: Timer::instance_of_key(&key) })
            }
            changed => Ok(changed.map_err(StoreError::from)?),
        }
    }

    /// Cancels a scheduled command.
    ///
    /// Once this has passed, the command is not carried out, on no node, however close its time was; and one that recurs is
    /// carried out at none of its further times. A time of that one for which its command was on its way by then is one
    /// that has passed: the command is carried out, or set aside.
    ///
    /// # Errors
    /// [`ScheduleError::NotScheduled`] when none of this name is scheduled: there was none, or its time has come, and it is
    /// carried out. Or the store cannot be reached: with [`ScheduleError::Store`] it may be cancelled all the same.
    pub async fn cancel(&self, name: &str) -> Result<(), ScheduleError> {
        let handler = self.handler()?;
        let key = Timer::key(name, "");
        loop {
            let Some(read) = self.core.checkpoints.record(Scheduler::NAME, TIMER, &key).await? else {
                return Err(ScheduleError::NotScheduled { name: name.to_owned() });
            };
            match handler.change(HandlerCommit::new().remove_exactly(read)).await {
                // Its time has come. One that recurs is there with its next one.
                Err(CheckpointError::Changed { .. }) => {}
                changed => return Ok(changed.map_err(StoreError::from)?),
            }
        }
    }

    /// A scheduled command; `None` when none of this name is.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn get(&self, name: &str) -> Result<Option<ScheduledCommand>, ScheduleError> {
        let key = Timer::key(name, "");
        let record = self.core.checkpoints.record(Scheduler::NAME, TIMER, &key).await?;
        Ok(record.as_ref().map(ScheduledCommand::of_record))
    }

    /// The commands that are due first, at most `limit` of them.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn next(&self, limit: usize) -> Result<Vec<ScheduledCommand>, ScheduleError> {
        let at = DateTime::<Utc>::MAX_UTC;
        let records = self.core.checkpoints.due_records(Scheduler::NAME, TIMER, at, limit).await?;
        Ok(records.iter().map(ScheduledCommand::of_record).collect())
    }

    fn handler(&self) -> Result<HandlerHandle<'a>, ScheduleError> {
        match &self.entry {
            Some(entry) => Ok(HandlerHandle::new(self.core, Arc::clone(entry))),
            None => Err(ScheduleError::NoScheduler { application: self.core.name().to_owned() }),
        }
    }

    fn timer(&self, schedule: Schedule) -> Result<Timer, ScheduleError> {
        let Schedule { name, content, when, mut metadata } = schedule;
        if !is_key(&name) {
            return Err(ScheduleError::InvalidName { name });
        }
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
    fn of_record(record: &HandlerRecord) -> Self {
        match Timer::of_record(record) {
            Ok(timer) => Self {
                name: timer.instance.as_ref().to_owned(),
                command: timer.command.map_or_else(String::new, |command| command.name.as_ref().to_owned()),
                due_at: timer.due_at,
                pattern: timer.pattern,
                unreadable: None,
            },
            Err(error) => Self {
                name: Timer::instance_of_key(&record.key),
                command: String::new(),
                due_at: record.due_at.unwrap_or(DateTime::<Utc>::MAX_UTC),
                pattern: None,
                unreadable: Some(error_text(&error)),
            },
        }
    }
}
