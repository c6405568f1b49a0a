use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId};
use crate::process_manager::command::{Content, Pending, Place, ScheduledTime};
use crate::process_manager::process::Cause;
use crate::schedule::next_time;
use crate::store::{CheckpointStore, HandlerCommit, HandlerRecord, StoreError};

/// The kind of the records that hold what is to happen at a time.
pub(crate) const TIMER: &str = "timer";

/// How many timers are read at once.
const PAGE: usize = 100;

/// Something that an instance wants to happen at a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Timer {
    pub(crate) instance: Arc<str>,
    pub(crate) name: String,
    /// Where the instance began.
    pub(crate) started: u64,
    /// How many steps the instance had done when it was set: which setting of the name it is.
    pub(crate) step: u64,
    pub(crate) due_at: DateTime<Utc>,
    /// The cron pattern of one that recurs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<String>,
    pub(crate) causation_id: CausationId,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) metadata: Metadata,
    /// The command to be sent; a deadline has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Content>,
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) first_failed_at: Option<DateTime<Utc>>,
    /// Why it was set aside, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stuck: Option<String>,
}

/// What is to become of the timer of a name.
#[derive(Clone, Debug)]
pub(crate) enum TimerChange {
    Set { name: String, due_at: DateTime<Utc>, command: Option<Content> },
    Cancel { name: String },
}

impl Timer {
    /// The timers of an instance lie together, behind what [`Timer::of_instance`] gives.
    pub(crate) fn key(instance: &str, name: &str) -> String {
        format!("{}{name}", Self::of_instance(instance))
    }

    /// What the keys of an instance's timers begin with. Written as in a program, an identity ends where it seems to.
    pub(crate) fn of_instance(instance: &str) -> String {
        format!("{instance:?} ")
    }

    /// The instance whose timer has this key.
    pub(crate) fn instance_of_key(key: &str) -> String {
        let quoted = key.strip_prefix('"').and_then(unquoted);
        quoted.unwrap_or_else(|| key.to_owned())
    }

    /// The timers of an instance that are written down.
    pub(crate) async fn all_of(
        store: &dyn CheckpointStore,
        handler: &str,
        instance: &str,
    ) -> Result<Vec<HandlerRecord>, StoreError> {
        let prefix = Self::of_instance(instance);
        let (mut all, mut after) = (Vec::new(), prefix.clone());
        loop {
            let page = store.records(handler, TIMER, Some(&after), PAGE).await?;
            let is_full = page.len() == PAGE;
            let of_instance: Vec<_> =
                page.into_iter().take_while(|record| record.key.starts_with(&prefix)).collect();
            let is_last = !is_full || of_instance.len() < PAGE;
            all.extend(of_instance);
            match all.last() {
                Some(last) if !is_last => after.clone_from(&last.key),
                _ => return Ok(all),
            }
        }
    }

    /// When it is set aside it is not due any more.
    pub(crate) fn record(&self) -> HandlerRecord {
        HandlerRecord {
            kind: TIMER.into(),
            key: Self::key(&self.instance, &self.name),
            position: 0,
            due_at: self.stuck.is_none().then_some(self.due_at),
            data: serde_json::to_vec(self).expect("what is JSON already is JSON").into(),
        }
    }

    pub(crate) fn of_record(record: &HandlerRecord) -> Result<Self, StoreError> {
        serde_json::from_slice(&record.data).map_err(|fault| {
            StoreError::Corrupt(
                format!("what is kept of the timer {:?} cannot be read: {fault}", record.key).into(),
            )
        })
    }

    /// Whether nobody but the owner changes it. One of the scheduler is added and cancelled by others at any moment: instances
    /// begin with an event, and that one with none.
    fn is_of_instance(&self) -> bool {
        self.started > 0
    }

    /// Has a commit take the timer, which was `read`, out of what is due, or have it due at its next time.
    pub(crate) fn take(
        &self,
        read: HandlerRecord,
        now: DateTime<Utc>,
        commit: HandlerCommit,
    ) -> HandlerCommit {
        let next = self.next(now).map(|next| next.record());
        match (next, self.is_of_instance()) {
            (Some(next), true) => commit.put(next),
            (Some(next), false) => commit.replace(read, next),
            (None, true) => commit.remove(TIMER, read.key),
            (None, false) => commit.remove_exactly(read),
        }
    }

    /// The timer that follows a recurring one: of several times that have passed meanwhile, all are skipped.
    pub(crate) fn next(&self, now: DateTime<Utc>) -> Option<Self> {
        let due_at = next_time(self.pattern.as_ref()?, now.max(self.due_at)).ok()?;
        Some(Self { due_at, ..self.clone() })
    }

    /// The command to be sent when it is due; a deadline has none.
    pub(crate) fn pending(&self, manager: &str, position: u64) -> Option<Pending> {
        let Self { instance, name, started, step, due_at, causation_id, .. } = self;
        let due_at = due_at.timestamp_micros();
        let which = format!("{instance}/{started}/timer {step} {name} {causation_id} {due_at}");
        let key = Pending::key(position, *step, 0, &which);
        let place = Place { key, position, instance: self.lane(), started: *started };
        let cause = Cause {
            causation_id: *causation_id,
            correlation_id: self.correlation_id,
            metadata: self.metadata.clone(),
        };
        let id = CommandId::from_key(&format!("{manager}/{which}"));
        let time = ScheduledTime { schedule: Arc::clone(instance), at: self.due_at };
        let time = self.pattern.is_some().then_some(time);
        Some(Pending { time, ..Pending::new(place, id, self.command.clone()?, cause) })
    }

    /// Behind whose commands that one is sent. Times of a recurring one do not wait for each other.
    fn lane(&self) -> Arc<str> {
        match self.pattern {
            Some(_) => format!("{} at {}", self.instance, self.due_at.to_rfc3339()).into(),
            None => Arc::clone(&self.instance),
        }
    }

    pub(crate) fn remove(commit: HandlerCommit, instance: &str, name: &str) -> HandlerCommit {
        commit.remove(TIMER, Self::key(instance, name))
    }
}

/// A text as in a program, behind its opening quote: what it says, if it is one.
fn unquoted(text: &str) -> Option<String> {
    let mut letters = text.chars();
    let mut said = String::new();
    loop {
        let letter = match letters.next()? {
            '"' => return Some(said),
            '\\' => match letters.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let code: String = letters.by_ref().skip(1).take_while(|letter| *letter != '}').collect();
                    u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)?
                }
                plain => plain,
            },
            plain => plain,
        };
        said.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_is_told_by_the_key() {
        for instance in ["", "a", "a b", "\"a\" \\", "\n\t\r\u{7f}\u{200b}", "Zoë 🦀", "it's", "\\u{41}"] {
            for name in ["", "x", "\" y"] {
                assert_eq!(Timer::instance_of_key(&Timer::key(instance, name)), instance);
            }
        }
        assert_eq!(Timer::instance_of_key("\"open"), "\"open");
    }
}
