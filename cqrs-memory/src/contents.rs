use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use cqrs_core::audit::AuditRecord;
use cqrs_core::id::{AuditId, CommandId, EventId};
use cqrs_core::store::{
    Appended, BindError, Direction, EventFilter, LogPage, RecordedEvent, Snapshot, StoreError, StoredState,
    StreamId,
};

use crate::id_hash::IdHash;
use crate::lease::Lease;
use crate::log::Log;
use crate::records::Records;
use crate::stream::Stream;

/// All that a store holds, behind its one lock.
///
/// Writing is spread over the files of its operations: `append.rs`, `append_all.rs`, `link.rs`,
/// `delete.rs`. Each checks all there is to check before it changes anything; several appends as one do so one by one,
/// and are taken back when one of them fails.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    pub(crate) log: Log,
    pub(crate) streams: HashMap<StreamId, Stream, IdHash>,
    pub(crate) event_ids: HashSet<EventId, IdHash>,
    pub(crate) outcomes: HashMap<CommandId, Appended, IdHash>,
    pub(crate) states: HashMap<StreamId, StoredState, IdHash>,
    pub(crate) snapshots: HashMap<StreamId, Snapshot, IdHash>,
    pub(crate) checkpoints: HashMap<Box<str>, u64>,
    pub(crate) records: Records,
    pub(crate) audit: BTreeMap<AuditId, AuditRecord>,
    pub(crate) leases: HashMap<Box<str>, Lease>,
    pub(crate) max_events: Option<u64>,
    /// Whether nobody may append but the one for whose append rows are being written.
    pub(crate) is_reserved: bool,
    owner: Option<Box<str>>,
}

impl Contents {
    pub(crate) fn new(max_events: Option<u64>) -> Self {
        Self { max_events, ..Self::default() }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { is_reserved: self.is_reserved, ..Self::new(self.max_events) };
    }

    pub(crate) fn bind(&mut self, application: &str) -> Result<(), BindError> {
        let owner = self.owner.get_or_insert_with(|| application.into());
        if **owner == *application {
            return Ok(());
        }
        Err(BindError::OwnedByAnother { owner: owner.to_string(), application: application.to_owned() })
    }

    pub(crate) fn outcome(&self, id: CommandId) -> Option<Appended> {
        let first = self.outcomes.get(&id)?;
        Some(Appended { repeated: true, ..first.clone() })
    }

    pub(crate) fn read_stream(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, StoreError> {
        let Some(stream) = self.streams.get(stream_id) else {
            return Ok(Vec::new());
        };
        if stream.is_deleted() {
            return Err(StoreError::StreamDeleted { stream_id: stream_id.clone() });
        }
        let page = stream.page(from, direction, limit);
        let mut events = Vec::with_capacity(page.len());
        let found = |position: &u64| self.log.get(*position).cloned();
        match direction {
            Direction::Forward => events.extend(page.iter().filter_map(found)),
            Direction::Backward => events.extend(page.iter().rev().filter_map(found)),
        }
        Ok(events)
    }

    /// See [`Log::scan`].
    pub(crate) fn scan_log(
        &self,
        span: usize,
        filter: &EventFilter,
        limit: usize,
        page: &mut LogPage,
    ) -> ControlFlow<()> {
        self.log.scan(span, filter, limit, page)
    }
}
