use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::command::Command;
use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId};
use crate::process_manager::process::Cause;
use crate::store::{CheckpointStore, HandlerRecord, StoreError};

/// The kind of the records that hold commands which are not carried out yet.
pub(crate) const COMMAND: &str = "command";

/// A command that a process manager sends.
#[derive(Clone, Debug)]
pub struct SentCommand {
    name: Arc<str>,
    data: Arc<RawValue>,
    id: CommandId,
}

impl SentCommand {
    /// The command's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The command's id.
    #[must_use]
    pub fn id(&self) -> CommandId {
        self.id
    }

    /// The command, when it is of type `C`.
    #[must_use]
    pub fn command<C: Command>(&self) -> Option<C> {
        if *self.name != *C::NAME {
            return None;
        }
        serde_json::from_str(self.data.get()).ok()
    }

    /// The command as JSON.
    #[must_use]
    pub fn json(&self) -> &str {
        self.data.get()
    }
}

/// A command as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) name: Arc<str>,
    pub(crate) data: Arc<RawValue>,
}

impl Content {
    pub(crate) fn of<C: Command>(command: &C) -> Result<Self, serde_json::Error> {
        let data = serde_json::value::to_raw_value(command)?;
        Ok(Self { name: Arc::from(C::NAME), data: Arc::from(data) })
    }
}

/// A command that waits to be carried out.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Pending {
    #[serde(skip)]
    pub(crate) key: String,
    /// The position that belongs to it; commands of lower ones come first.
    #[serde(skip)]
    pub(crate) position: u64,
    /// Nobody has sent it yet. What is read back may have been sent.
    #[serde(skip)]
    pub(crate) is_new: bool,
    pub(crate) instance: Arc<str>,
    /// Where the instance began, by which it is told from a later one of the same identity.
    pub(crate) started: u64,
    #[serde(rename = "command")]
    pub(crate) content: Content,
    pub(crate) id: CommandId,
    pub(crate) causation_id: CausationId,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) metadata: Metadata,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    /// What makes it undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undo: Option<Content>,
    /// Whether it belongs to how an instance goes back.
    #[serde(default)]
    pub(crate) is_compensating: bool,
    /// Whether it comes from before its instance went back: what undoes it waits for the others from before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_from_before: bool,
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_failed_at: Option<DateTime<Utc>>,
    /// Why it was set aside, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stuck: Option<String>,
    /// Which time it is of a scheduled command that recurs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) time: Option<ScheduledTime>,
}

/// One of the times of a scheduled command that recurs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScheduledTime {
    pub(crate) schedule: Arc<str>,
    pub(crate) at: DateTime<Utc>,
}

impl Pending {
    /// A command that is going to be sent for the first time.
    pub(crate) fn new(place: Place, id: CommandId, content: Content, cause: Cause) -> Self {
        let Place { key, position, instance, started } = place;
        let Cause { causation_id, correlation_id, metadata } = cause;
        Self {
            key,
            position,
            is_new: false,
            instance,
            started,
            content,
            id,
            causation_id,
            correlation_id,
            metadata,
            timeout_ms: None,
            undo: None,
            is_compensating: false,
            is_from_before: false,
            attempts: 0,
            first_failed_at: None,
            stuck: None,
            time: None,
        }
    }

    /// Whether it comes from before an instance went back that another command is of.
    pub(crate) fn is_from_before_as(&self, other: &Self) -> bool {
        self.is_from_before && self.started == other.started
    }

    /// Keys have the order in which an instance's commands are sent. `step` counts what an instance has done.
    pub(crate) fn key(position: u64, step: u64, ordinal: usize, instance: &str) -> String {
        format!("{position:020}/{step:010}/{ordinal:05}/{instance}")
    }

    /// A key behind its own and in front of those of later commands; the higher `place`, the further behind.
    pub(crate) fn key_behind(&self, place: usize) -> String {
        let at = self.key.match_indices('/').nth(2).map_or(self.key.len(), |(at, _)| at);
        let (front, instance) = self.key.split_at(at);
        format!("{front}:{place:05}{instance}")
    }

    /// The step of its instance that sent it.
    pub(crate) fn step(&self) -> u64 {
        self.key.split('/').nth(1).and_then(|step| step.parse().ok()).unwrap_or_default()
    }

    pub(crate) fn sent(&self) -> SentCommand {
        let Content { name, data } = self.content.clone();
        SentCommand { name, data, id: self.id }
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout_ms.map(Duration::from_millis)
    }

    pub(crate) fn record(&self) -> HandlerRecord {
        HandlerRecord {
            kind: COMMAND.into(),
            key: self.key.clone(),
            position: self.position,
            due_at: None,
            data: serde_json::to_vec(self).expect("what is JSON already is JSON").into(),
        }
    }

    pub(crate) fn of_record(record: HandlerRecord) -> Result<Self, StoreError> {
        let HandlerRecord { key, position, data, .. } = record;
        let pending: Self = serde_json::from_slice(&data).map_err(|fault| unreadable(&key, &fault))?;
        Ok(Self { key, position, ..pending })
    }
}

/// Where a command stands: in the order of commands, and behind those of which instance.
pub(crate) struct Place {
    pub(crate) key: String,
    pub(crate) position: u64,
    pub(crate) instance: Arc<str>,
    pub(crate) started: u64,
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}) of {:?}", self.content.name, self.id, self.instance)
    }
}

/// How many commands are read at once.
const PAGE: usize = 100;

/// The lowest position of which a process manager has commands that go on by themselves, as far as that is written.
pub(crate) async fn first_unsent(
    store: &dyn CheckpointStore,
    handler: &str,
) -> Result<Option<u64>, StoreError> {
    let mut stuck = HashSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = store.records(handler, COMMAND, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        for record in page {
            let command = Pending::of_record(record)?;
            let is_stuck = command.stuck.is_some() || stuck.contains(&command.instance);
            if !is_stuck {
                return Ok(Some(command.position));
            }
            stuck.insert(command.instance);
            after = Some(command.key);
        }
        if is_last {
            return Ok(None);
        }
    }
}

/// Whether a process manager has set a command of these positions aside, as far as that is written.
pub(crate) async fn has_stuck(
    store: &dyn CheckpointStore,
    handler: &str,
    first: u64,
    last: u64,
) -> Result<bool, StoreError> {
    let mut after = format!("{first:020}");
    loop {
        let page = store.records(handler, COMMAND, Some(&after), PAGE).await?;
        let is_last = page.len() < PAGE;
        for record in page {
            if record.position > last {
                return Ok(false);
            }
            let command = Pending::of_record(record)?;
            if command.stuck.is_some() {
                return Ok(true);
            }
            after = command.key;
        }
        if is_last {
            return Ok(false);
        }
    }
}

fn unreadable(key: &str, fault: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("what is kept of the command {key:?} cannot be read: {fault}").into())
}
