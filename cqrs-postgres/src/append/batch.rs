use std::collections::{HashSet, VecDeque};
use std::mem;

use cqrs_core::id::CommandId;
use cqrs_core::store::StreamId;

use crate::append::unit::Request;

/// How much travels in one transaction. Beyond about 150 events a batch is bound by the processor, so that larger
/// ones only make everybody wait longer.
pub(crate) const MAX_UNITS: usize = 512;
const MAX_BYTES: usize = 1024 * 1024;

/// Requests that travel together: no two of them write to one stream, or have the same id.
pub(crate) struct Batch {
    requests: Vec<Request>,
    bytes: usize,
    events: usize,
    streams: HashSet<StreamId>,
    ids: HashSet<CommandId>,
    /// What a request that stays behind writes to: those that follow it stay behind it.
    passed: HashSet<StreamId>,
    is_exclusive: bool,
}

impl Batch {
    /// Takes the first of those that wait, and of the first `most` all that may travel with it.
    pub(crate) fn take(waiting: &mut VecDeque<Request>, most: usize) -> Option<Self> {
        let first = waiting.pop_front()?;
        let mut batch = Self {
            requests: Vec::new(),
            bytes: 0,
            events: 0,
            streams: HashSet::new(),
            ids: HashSet::new(),
            passed: HashSet::new(),
            is_exclusive: !first.unit.is_simple(),
        };
        batch.push(first);
        let later = waiting.split_off(waiting.len().min(most.saturating_sub(1)));
        for request in mem::take(waiting) {
            if let Err(request) = batch.admit(request) {
                waiting.push_back(request);
            }
        }
        waiting.extend(later);
        Some(batch)
    }

    pub(crate) fn into_requests(self) -> Vec<Request> {
        self.requests
    }

    fn has_room(&self) -> bool {
        !self.is_exclusive && self.events < MAX_UNITS && self.bytes < MAX_BYTES
    }

    /// Takes a request in, or gives it back.
    fn admit(&mut self, request: Request) -> Result<(), Request> {
        let unit = &request.unit;
        let fits = self.has_room()
            && unit.is_simple()
            && self.events + unit.events <= MAX_UNITS
            && self.bytes + unit.bytes <= MAX_BYTES
            && unit.streams().all(|stream| !self.streams.contains(stream) && !self.passed.contains(stream))
            && unit.appends.iter().all(|append| !self.ids.contains(&append.id));
        if !fits {
            self.passed.extend(unit.streams().cloned());
            return Err(request);
        }
        self.push(request);
        Ok(())
    }

    fn push(&mut self, request: Request) {
        let unit = &request.unit;
        self.bytes += unit.bytes;
        self.events += unit.events.max(1);
        self.streams.extend(unit.streams().cloned());
        self.ids.extend(unit.appends.iter().map(|append| append.id));
        self.requests.push(request);
    }
}
