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

/// Where a record of a handler lies: its kind and its key.
type Place = (Cow<'static, str>, String);

/// What a handler writes at once: wholly or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct HandlerCommit {
    /// The new checkpoint, if it moves. A position lower than the one kept is ignored.
    pub position: Option<u64>,
    /// The records that change, by kind and key; `None` removes one.
    pub records: BTreeMap<Place, Option<HandlerRecord>>,
    /// How some of these must be found, by kind and key; `None` is that there is none. If one of them is found otherwise,
    /// nothing is written ([`CheckpointError::Changed`]). What is expected of a record that does not change does not count.
    ///
    /// [`CheckpointError::Changed`]: crate::store::CheckpointError::Changed
    pub expected: BTreeMap<Place, Option<HandlerRecord>>,
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

    /// Adds a record if there is none of its kind and key.
    pub fn put_new(mut self, record: HandlerRecord) -> Self {
        self.expected.insert((record.kind.clone(), record.key.clone()), None);
        self.put(record)
    }

    /// Replaces the record of this kind and key if it still is as it was read.
    pub fn replace(mut self, read: HandlerRecord, record: HandlerRecord) -> Self {
        self.expected.insert((record.kind.clone(), record.key.clone()), Some(read));
        self.put(record)
    }

    /// Removes a record if it still is as it was read.
    pub fn remove_exactly(mut self, read: HandlerRecord) -> Self {
        let place = (read.kind.clone(), read.key.clone());
        self.records.insert(place.clone(), None);
        self.expected.insert(place, Some(read));
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
