use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::handler::{HandlerHandle, Order, PARKED};
use crate::id::CommandId;
use crate::process_manager::command::{COMMAND, Pending};
use crate::process_manager::instance::{INSTANCE, Read};
use crate::process_manager::timer::{TIMER, Timer};
use crate::process_manager::{ProcessPhase, ProcessStep};
use crate::store::{HandlerRecord, StoreError};

/// A process manager of a running application, for whoever looks after it:
/// [`Running::process_manager`](crate::application::Running::process_manager) gives it.
///
/// What it tells is what is written down, on whichever node the process manager runs.
#[derive(Clone)]
pub struct ProcessManagerHandle<'a> {
    handler: HandlerHandle<'a>,
}

/// An instance of a process manager.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProcessInstance {
    /// Its identity.
    pub instance: String,
    /// Its state, as JSON.
    pub state: Value,
    /// Whether it goes on or goes back.
    pub phase: ProcessPhase,
    /// The position of the event that began it.
    pub started: u64,
    /// The position of the last event that it has handled.
    pub position: u64,
    /// When it will be idle for too long, if there is such a time.
    pub idle_at: Option<DateTime<Utc>>,
    /// What it has done lately, at most 50 steps.
    pub history: Vec<ProcessStep>,
}

/// A command that a process manager has not carried out yet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PendingCommand {
    /// Tells where it stands in the order of commands: for the next page.
    pub key: String,
    /// The instance that sends it.
    pub instance: String,
    /// The command's name.
    pub name: String,
    /// The command's id.
    pub id: CommandId,
    /// The command, as JSON.
    pub data: Value,
    /// How often it was tried, as far as that is written down.
    pub attempts: u32,
    /// Why it was set aside, if it was: it and the later commands of the instance wait until somebody says what is to be
    /// done ([`ProcessManagerHandle::retry`], [`ProcessManagerHandle::skip`]).
    pub stuck: Option<String>,
}

/// A deadline or a scheduled command.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PendingTimer {
    /// Tells where it stands in the order of timers: for the next page.
    pub key: String,
    /// The instance that has set it.
    pub instance: String,
    /// Its name.
    pub name: String,
    /// When it is due.
    pub due_at: DateTime<Utc>,
    /// The name of the command; a deadline has none.
    pub command: Option<String>,
    /// Why it was set aside, if it was.
    pub stuck: Option<String>,
}

/// Why an instance was left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StuckError {
    /// None of its events, commands and deadlines is set aside.
    #[error("nothing of instance {instance:?} of process manager {process_manager:?} is set aside")]
    NotStuck {
        /// The process manager's name.
        process_manager: String,
        /// The identity of the instance.
        instance: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<'a> ProcessManagerHandle<'a> {
    pub(crate) fn new(handler: HandlerHandle<'a>) -> Self {
        Self { handler }
    }

    /// The process manager as a handler: its status, how it is paused and reset, and the events that it has parked. A
    /// reset forgets all instances, with their commands and timers; commands that were carried out before are not carried
    /// out again when their events are handled anew. Commands from before the store's memory of outcomes, 7 days in Postgres
    /// unless its schema is opened with another retention, are looked for in the log one by one: such a reset takes its
    /// time, and commands that have led to no event are carried out again.
    #[must_use]
    pub fn handler(&self) -> HandlerHandle<'a> {
        self.handler.clone()
    }

    /// An instance; `None` when there is none of that identity, or none any more.
    ///
    /// # Errors
    /// When the store cannot be reached, or what it keeps cannot be read.
    pub async fn instance(&self, instance: &str) -> Result<Option<ProcessInstance>, StoreError> {
        let checkpoints = &self.handler.core().checkpoints;
        let record = checkpoints.record(self.handler.name(), INSTANCE, instance).await?;
        record.map(ProcessInstance::of_record).transpose()
    }

    /// The instances behind `after`, all when it is `None`, at most `limit` of them, in the order of the bytes of their
    /// identities.
    ///
    /// # Errors
    /// When the store cannot be reached, or what it keeps cannot be read.
    pub async fn instances(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ProcessInstance>, StoreError> {
        let records = self.records(INSTANCE, after, limit).await?;
        records.into_iter().map(ProcessInstance::of_record).collect()
    }

    /// The commands behind the one with the key `after` that are written down and not known to be carried out, all when
    /// it is `None`, at most `limit` of them, in the order of their events. That a command was carried out is written a
    /// moment later.
    ///
    /// # Errors
    /// When the store cannot be reached, or what it keeps cannot be read.
    pub async fn pending_commands(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<PendingCommand>, StoreError> {
        let records = self.records(COMMAND, after, limit).await?;
        records.into_iter().map(PendingCommand::of_record).collect()
    }

    /// The deadlines and scheduled commands behind the one with the key `after`, all when it is `None`, at most `limit`
    /// of them, those of an instance together.
    ///
    /// # Errors
    /// When the store cannot be reached, or what it keeps cannot be read.
    pub async fn timers(&self, after: Option<&str>, limit: usize) -> Result<Vec<PendingTimer>, StoreError> {
        let records = self.records(TIMER, after, limit).await?;
        records.iter().map(PendingTimer::of_record).collect()
    }

    /// Has everything of an instance tried again that was set aside: its events, its commands, its deadlines.
    ///
    /// # Errors
    /// When nothing is set aside, or the store cannot be reached.
    pub async fn retry(&self, instance: &str) -> Result<(), StuckError> {
        self.check_stuck(instance).await?;
        Ok(self.handler.tell_about(instance, &Order::RetryParked { key: instance.to_owned() }).await?)
    }

    /// Has the event or command at which an instance was set aside left out, and goes on with what is behind it.
    /// Deadlines that were set aside are dropped.
    ///
    /// # Errors
    /// When nothing is set aside, or the store cannot be reached.
    pub async fn skip(&self, instance: &str) -> Result<(), StuckError> {
        self.check_stuck(instance).await?;
        Ok(self
            .handler
            .tell_about(instance, &Order::SkipParked { key: instance.to_owned(), at: None })
            .await?)
    }

    async fn records(
        &self,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        self.handler.core().checkpoints.records(self.handler.name(), kind, after, limit).await
    }

    async fn check_stuck(&self, instance: &str) -> Result<(), StuckError> {
        let checkpoints = &*self.handler.core().checkpoints;
        let name = self.handler.name();
        if checkpoints.record(name, PARKED, instance).await?.is_some() {
            return Ok(());
        }
        for record in Timer::all_of(checkpoints, name, instance).await? {
            if Timer::of_record(&record)?.stuck.is_some() {
                return Ok(());
            }
        }
        let mut after: Option<String> = None;
        loop {
            let page = self.pending_commands(after.as_deref(), 500).await?;
            if page.iter().any(|command| command.instance == instance && command.stuck.is_some()) {
                return Ok(());
            }
            match page.last() {
                Some(last) if page.len() == 500 => after = Some(last.key.clone()),
                _ => break,
            }
        }
        Err(StuckError::NotStuck { process_manager: name.to_owned(), instance: instance.to_owned() })
    }
}

impl fmt::Debug for ProcessManagerHandle<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ProcessManagerHandle").field("name", &self.handler.name()).finish()
    }
}

impl ProcessInstance {
    fn of_record(record: HandlerRecord) -> Result<Self, StoreError> {
        let Read { state, progress } =
            serde_json::from_slice(&record.data).map_err(|fault| unreadable(&record, &fault))?;
        Ok(Self {
            instance: record.key,
            state,
            phase: progress.phase,
            started: progress.started,
            position: record.position,
            idle_at: record.due_at,
            history: progress.history.into(),
        })
    }
}

impl PendingCommand {
    fn of_record(record: HandlerRecord) -> Result<Self, StoreError> {
        let command = Pending::of_record(record)?;
        Ok(Self {
            data: serde_json::from_str(command.content.data.get()).unwrap_or_default(),
            key: command.key,
            instance: command.instance.as_ref().to_owned(),
            name: command.content.name.as_ref().to_owned(),
            id: command.id,
            attempts: command.attempts,
            stuck: command.stuck,
        })
    }
}

impl PendingTimer {
    fn of_record(record: &HandlerRecord) -> Result<Self, StoreError> {
        let timer = Timer::of_record(record)?;
        Ok(Self {
            key: record.key.clone(),
            instance: timer.instance.as_ref().to_owned(),
            name: timer.name,
            due_at: timer.due_at,
            command: timer.command.map(|command| command.name.as_ref().to_owned()),
            stuck: timer.stuck,
        })
    }
}

fn unreadable(record: &HandlerRecord, fault: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("the {} {:?} cannot be read: {fault}", record.kind, record.key).into())
}
