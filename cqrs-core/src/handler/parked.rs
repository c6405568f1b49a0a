use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::store::{HandlerRecord, RecordedEvent, StoreError};

/// The kind of the records that say which keys are parked.
pub(crate) const PARKED: &str = "parked";

/// An event that a handler could not handle, and behind which the later ones of its key wait.
///
/// Positions are kept, not copies of events: what waits is read from the log again, and goes through the upcasters and
/// the code of the day when it is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedKey {
    /// The key: the stream, unless the handler has keys of its own ([`EventHandler::partition_by`]).
    ///
    /// [`EventHandler::partition_by`]: crate::handler::EventHandler::partition_by
    pub key: String,
    /// The position of the event that failed.
    pub position: u64,
    /// Why it failed the last time, with all causes.
    pub error: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it failed first.
    pub first_failed_at: DateTime<Utc>,
    /// When it was parked.
    pub parked_at: DateTime<Utc>,
    /// When it is tried again by itself, if ever: a process manager sets aside what it is to try again later, so that
    /// other instances go on.
    pub retry_at: Option<DateTime<Utc>>,
}

/// The keys that are parked, as their handler's owner knows them.
pub(crate) type ParkedKeys = BTreeMap<String, ParkedKey>;

#[derive(Serialize, Deserialize)]
struct Data {
    error: String,
    attempts: u32,
    first_failed_at: DateTime<Utc>,
    parked_at: DateTime<Utc>,
}

impl ParkedKey {
    /// What is known of earlier attempts at an event: those at the first that waits, unless there were none.
    pub(crate) fn earlier(&self, event: &RecordedEvent) -> Option<&Self> {
        (event.position == self.position && self.attempts > 0).then_some(self)
    }

    /// Whether it is not parked at this position any more, where that is known.
    pub(crate) fn is_elsewhere(&self, at: Option<u64>) -> bool {
        at.is_some_and(|at| at != self.position)
    }

    /// The key when all of its events up to `position` are handled, and nothing is known of the others.
    pub(crate) fn behind(&self, position: u64) -> Self {
        Self { position: position + 1, attempts: 0, ..self.clone() }
    }

    pub(crate) fn record(&self) -> HandlerRecord {
        let Self { key, position, error, attempts, first_failed_at, parked_at, retry_at } = self.clone();
        let data = Data { error: storable(error), attempts, first_failed_at, parked_at };
        HandlerRecord {
            kind: PARKED.into(),
            key,
            position,
            due_at: retry_at,
            data: serde_json::to_vec(&data).expect("text and numbers are JSON").into(),
        }
    }

    pub(crate) fn of_record(record: HandlerRecord) -> Result<Self, StoreError> {
        let HandlerRecord { key, position, data, due_at: retry_at, .. } = record;
        let Data { error, attempts, first_failed_at, parked_at } =
            serde_json::from_slice(&data).map_err(|fault| unreadable(&key, &fault))?;
        Ok(Self { key, position, error, attempts, first_failed_at, parked_at, retry_at })
    }
}

/// How many bytes a key has at most, as the name of a stream: an index of a database takes no key of any length.
const LONGEST_KEY: usize = 255;

/// Whether every database takes a text as a key.
pub(crate) fn is_key(text: &str) -> bool {
    text.len() <= LONGEST_KEY && !text.contains('\0')
}

/// Text that every database takes.
pub(crate) fn storable(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

fn unreadable(key: &str, fault: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(format!("what is kept of the parked key {key:?} cannot be read: {fault}").into())
}
