use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::store::{CheckpointStore, StoreError};

/// Something that a handler keeps beside its checkpoint, such as an event that waits for somebody to look at it.
///
/// A handler has one record of a kind and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerRecord {
    /// What it is a record of.
    pub kind: Cow<'static, str>,
    /// What tells it from others of its kind.
    pub key: String,
    /// The position in the log that it belongs to; 0 when it belongs to none.
    pub position: u64,
    /// When something is to be done about it, if ever. Stores keep it to the microsecond.
    pub due_at: Option<DateTime<Utc>>,
    /// All else, as JSON.
    pub data: Bytes,
}

/// What a handler writes at once: wholly or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct HandlerCommit {
    /// The new checkpoint, if it moves. A position lower than the one kept is ignored.
    pub position: Option<u64>,
    /// The records that change, by kind and key; `None` removes one.
    pub records: BTreeMap<(Cow<'static, str>, String), Option<HandlerRecord>>,
}

impl HandlerCommit {
    /// A commit that changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the checkpoint.
    pub fn position(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    /// Adds a record, or replaces the one of its kind and key.
    pub fn put(mut self, record: HandlerRecord) -> Self {
        self.records.insert((record.kind.clone(), record.key.clone()), Some(record));
        self
    }

    /// Removes a record; there need not be one.
    pub fn remove(mut self, kind: impl Into<Cow<'static, str>>, key: impl Into<String>) -> Self {
        self.records.insert((kind.into(), key.into()), None);
        self
    }
}

/// How many records are read at once.
const PAGE: usize = 500;

/// All records of a kind that a handler has, however many.
pub(crate) async fn all_records(
    store: &dyn CheckpointStore,
    handler: &str,
    kind: &str,
) -> Result<Vec<HandlerRecord>, StoreError> {
    let mut all: Vec<HandlerRecord> = Vec::new();
    loop {
        let after = all.last().map(|last| last.key.as_str());
        let page = store.records(handler, kind, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}
