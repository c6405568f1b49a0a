//! Which events rows are made of beyond the position up to which all are made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::BoxError;
use crate::error_text::error_text;
use crate::projection::Claim;
use crate::store::{HandlerCommit, HandlerRecord, RecordedEvent, StoreError};

/// The kind of the records that name such events, one for each transaction that wrote their rows.
const MADE: &str = "made";

/// Events behind the position of a generation whose rows are made already, since their partition was ahead of another one.
///
/// They are known by their positions: neither another number of partitions nor other code changes which ones they are.
#[derive(Debug, Default)]
pub(crate) struct Made {
    positions: BTreeSet<u64>,
    /// The last positions of records, by key.
    records: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
struct Data {
    /// How far each event lies behind the one before it; the first one's position is the key.
    steps: Vec<u64>,
}

impl Made {
    /// What stands beside the rows.
    pub(crate) fn of_claim(claim: &Claim) -> Result<Self, StoreError> {
        let mut made = Self::default();
        for record in claim.records.iter().filter(|record| record.kind == MADE) {
            made.add(record).map_err(|fault| unreadable(&record.key, &*fault))?;
        }
        Ok(made)
    }

    fn add(&mut self, record: &HandlerRecord) -> Result<(), BoxError> {
        let Data { steps } = serde_json::from_slice(&record.data)?;
        let mut position: u64 = record.key.parse()?;
        self.positions.insert(position);
        for step in steps {
            position = position.checked_add(step).ok_or("a position is too large")?;
            self.positions.insert(position);
        }
        self.records.insert(record.key.clone(), record.position);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(crate) fn contains(&self, event: &RecordedEvent) -> bool {
        self.positions.contains(&event.position)
    }

    /// Takes what is said of positions up to this one away from beside the rows; `None` when nothing is.
    pub(crate) fn settled(&self, position: u64) -> Option<HandlerCommit> {
        let passed = self.records.iter().filter(|(_, last)| **last <= position).map(|(key, _)| key.clone());
        let commit = passed.fold(HandlerCommit::new(), |commit, key| commit.remove(MADE, key));
        (!commit.records.is_empty()).then(|| commit.position(position))
    }

    /// That was done.
    pub(crate) fn forget(&mut self, position: u64) {
        self.records.retain(|_, last| *last > position);
        self.positions = self.positions.split_off(&(position + 1));
    }
}

/// What says that the rows of these events are made, which are in the order of the log; `None` for none. No event is in
/// two such records, so that none takes the place of another.
pub(crate) fn record(events: &[&RecordedEvent]) -> Option<HandlerRecord> {
    let (first, last) = (events.first()?.position, events.last()?.position);
    let steps = events.windows(2).map(|two| two[1].position - two[0].position).collect();
    Some(HandlerRecord {
        kind: MADE.into(),
        key: first.to_string(),
        position: last,
        due_at: None,
        data: serde_json::to_vec(&Data { steps }).expect("numbers are JSON").into(),
    })
}

fn unreadable(key: &str, fault: &(dyn std::error::Error + 'static)) -> StoreError {
    let fault = error_text(fault);
    StoreError::Corrupt(
        format!("which rows are made from position {key:?} on cannot be read: {fault}").into(),
    )
}
