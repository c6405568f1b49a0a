use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId};
use crate::process_manager::ProcessManager;
use crate::process_manager::command::{Content, Pending, Place};
use crate::process_manager::process::Cause;
use crate::store::HandlerRecord;

/// The kind of the records that hold instances.
pub(crate) const INSTANCE: &str = "instance";

/// How many of its latest steps an instance remembers.
const HISTORY: usize = 50;

/// Whether an instance goes on or goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProcessPhase {
    /// It handles events.
    #[default]
    Running,
    /// It was given up, and undoes what it has done.
    Compensating,
}

/// Something that an instance has done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ProcessStep {
    /// What it was: the wire name of an event, a deadline, a command that came to an end.
    pub what: String,
    /// The position of the last event of the instance by then.
    pub position: u64,
    /// When, by the application's clock.
    pub at: DateTime<Utc>,
    /// The names of the commands that were sent.
    pub sent: Vec<String>,
}

/// An instance, as far as it does not depend on the type of the process manager.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The position of the event that began it.
    pub(crate) started: u64,
    /// The position of the last event that it has handled.
    #[serde(skip)]
    pub(crate) position: u64,
    /// How many steps it has done.
    pub(crate) steps: u64,
    pub(crate) phase: ProcessPhase,
    /// What undoes the commands that were carried out, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) undo: Vec<Undo>,
    /// Whether it has ever set a timer, so that there may be some.
    #[serde(default)]
    pub(crate) has_timers: bool,
    pub(crate) history: VecDeque<ProcessStep>,
}

/// A command that undoes another one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Undo {
    pub(crate) command: Content,
    /// The one that it undoes.
    pub(crate) of: CommandId,
    /// What that one was caused by.
    pub(crate) causation_id: CausationId,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) metadata: Metadata,
}

/// An instance of a process manager.
#[derive(Clone, Debug)]
pub(crate) struct Instance<P> {
    pub(crate) state: P,
    pub(crate) progress: Progress,
}

#[derive(Serialize)]
struct Written<'a, P> {
    state: &'a P,
    progress: &'a Progress,
}

#[derive(Deserialize)]
pub(crate) struct Read<P> {
    pub(crate) state: P,
    pub(crate) progress: Progress,
}

impl Progress {
    /// Begins to undo what was done: gives the commands that do it, the last one first.
    pub(crate) fn go_back(&mut self, manager: &str, id: &Arc<str>) -> Vec<Pending> {
        self.steps += 1;
        let undo = std::mem::take(&mut self.undo).into_iter().rev().enumerate();
        let key = |ordinal| Pending::key(self.position, self.steps, ordinal, id);
        undo.map(|(ordinal, undo)| undo.pending(manager, id, self, key(ordinal))).collect()
    }

    pub(crate) fn note(&mut self, what: String, at: DateTime<Utc>, sent: Vec<String>) {
        if self.history.len() >= HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(ProcessStep { what, position: self.position, at, sent });
    }
}

impl Undo {
    /// What undoes a command, if anything does.
    pub(crate) fn of(command: &Pending) -> Option<Self> {
        let undo = command.undo.clone()?;
        Some(Self {
            command: undo,
            of: command.id,
            causation_id: command.causation_id,
            correlation_id: command.correlation_id,
            metadata: command.metadata.clone(),
        })
    }

    /// The command to be sent. Its id comes from the one that it undoes.
    pub(crate) fn pending(self, manager: &str, id: &Arc<str>, progress: &Progress, key: String) -> Pending {
        let command_id =
            CommandId::from_key(&format!("{manager}/{id}/{}/undo {}", progress.started, self.of));
        let (position, started) = (progress.position, progress.started);
        let place = Place { key, position, instance: Arc::clone(id), started };
        let cause = Cause {
            causation_id: self.causation_id,
            correlation_id: self.correlation_id,
            metadata: self.metadata,
        };
        Pending { is_compensating: true, ..Pending::new(place, command_id, self.command, cause) }
    }
}

impl<P: ProcessManager> Instance<P> {
    pub(crate) fn begin(position: u64) -> Self {
        Self {
            state: P::default(),
            progress: Progress { started: position, position, ..Progress::default() },
        }
    }

    /// An instance that is gone, when something is still to be done for its commands, of which `latest` is the last: what is
    /// sent then comes behind that.
    pub(crate) fn gone(latest: &Pending) -> Self {
        let mut gone = Self::begin(latest.started);
        (gone.progress.position, gone.progress.steps) = (latest.position, latest.step());
        gone
    }

    /// The record of the instance; the error is that its state has no JSON form.
    pub(crate) fn record(&self, id: &str, now: DateTime<Utc>) -> Result<HandlerRecord, serde_json::Error> {
        let idle = P::IDLE_TIMEOUT.filter(|_| self.progress.phase == ProcessPhase::Running);
        let idle = idle.and_then(|time| chrono::Duration::from_std(time).ok());
        Ok(HandlerRecord {
            kind: INSTANCE.into(),
            key: id.to_owned(),
            position: self.progress.position,
            due_at: idle.and_then(|idle| now.checked_add_signed(idle)),
            data: serde_json::to_vec(&Written { state: &self.state, progress: &self.progress })?.into(),
        })
    }

    pub(crate) fn of_record(record: &HandlerRecord) -> Result<Self, serde_json::Error> {
        let Read { state, progress } = serde_json::from_slice(&record.data)?;
        Ok(Self { state, progress: Progress { position: record.position, ..progress } })
    }
}

/// What is known of an instance.
#[derive(Clone, Debug)]
pub(crate) enum Known<P> {
    Absent,
    Present(Box<Instance<P>>),
    /// Its record does not fit the program.
    Unreadable(Arc<str>),
}

/// The instances that were needed lately, and what was found not to be there.
#[derive(Debug)]
pub(crate) struct Instances<P>(HashMap<Arc<str>, Known<P>>);

/// How many instances are kept in memory; beyond that all that are not needed leave.
const KEPT: usize = 10_000;

impl<P> Default for Instances<P> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<P: ProcessManager> Instances<P> {
    /// Makes room for what is needed next.
    pub(crate) fn make_room(&mut self) {
        if self.0.len() > KEPT {
            self.0.clear();
        }
    }

    pub(crate) fn knows(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(crate) fn put(&mut self, id: Arc<str>, known: Known<P>) {
        self.0.insert(id, known);
    }

    /// How far an instance is that is there, as far as that is known.
    pub(crate) fn progress(&self, id: &str) -> Option<&Progress> {
        match self.0.get(id)? {
            Known::Present(instance) => Some(&instance.progress),
            _ => None,
        }
    }

    /// Takes an instance out, which must be known.
    pub(crate) fn take(&mut self, id: &str) -> Known<P> {
        self.0.remove(id).unwrap_or(Known::Absent)
    }
}
