use std::collections::HashSet;
use std::ops::Range;

use chrono::{DateTime, Utc};
use cqrs_core::store::{Direction, StreamId, StreamInfo};

/// A stream: which positions of the log stand in it, in its own order.
#[derive(Debug)]
pub(crate) struct Stream {
    /// The event of version `v` has the position at index `v - 1`.
    positions: Vec<u64>,
    /// Those of the positions that are links, to find one that comes twice; most streams have none.
    linked: Option<HashSet<u64>>,
    created_at: DateTime<Utc>,
    deleted: bool,
}

impl Stream {
    pub(crate) fn new(created_at: DateTime<Utc>) -> Self {
        Self { positions: Vec::new(), linked: None, created_at, deleted: false }
    }

    pub(crate) fn version(&self) -> u64 {
        self.positions.len() as u64
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted
    }

    pub(crate) fn close(&mut self) {
        self.deleted = true;
    }

    pub(crate) fn push(&mut self, position: u64) {
        self.positions.push(position);
    }

    /// Takes the last place back; tells whether there is none left.
    pub(crate) fn take_back(&mut self) -> bool {
        self.positions.pop();
        self.positions.is_empty()
    }

    pub(crate) fn push_link(&mut self, position: u64) {
        self.positions.push(position);
        self.linked.get_or_insert_default().insert(position);
    }

    pub(crate) fn links_to(&self, position: u64) -> bool {
        self.linked.as_ref().is_some_and(|linked| linked.contains(&position))
    }

    /// The positions of the events that were written to this stream, without its links.
    pub(crate) fn own_positions(&self) -> impl Iterator<Item = u64> {
        let own = |position: &u64| !self.links_to(*position);
        self.positions.iter().copied().filter(own)
    }

    /// The positions at `limit` places, from `from` on in the direction of reading.
    pub(crate) fn page(&self, from: u64, direction: Direction, limit: usize) -> &[u64] {
        &self.positions[page(self.positions.len(), from, direction, limit)]
    }

    pub(crate) fn info(&self, stream_id: &StreamId) -> StreamInfo {
        let info = StreamInfo::active(stream_id.clone(), self.version(), self.created_at);
        if self.deleted { info.deleted() } else { info }
    }
}

/// Which indices of a stream of `length` places a page covers.
fn page(length: usize, from: u64, direction: Direction, limit: usize) -> Range<usize> {
    // What does not fit into a `usize` lies beyond every end.
    let from = usize::try_from(from).unwrap_or(usize::MAX);
    match direction {
        Direction::Forward => {
            let start = from.saturating_sub(1).min(length);
            start..start.saturating_add(limit).min(length)
        }
        Direction::Backward => {
            let end = from.min(length);
            end.saturating_sub(limit)..end
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_covers_the_places_from_its_start_on() {
        let max = usize::MAX;
        assert_eq!(page(10, 1, Direction::Forward, 5), 0..5);
        assert_eq!(page(10, 0, Direction::Forward, 5), 0..5);
        assert_eq!(page(10, 6, Direction::Forward, 5), 5..10);
        assert_eq!(page(10, 9, Direction::Forward, max), 8..10);
        assert_eq!(page(10, 11, Direction::Forward, 5), 10..10);
        assert_eq!(page(10, u64::MAX, Direction::Forward, max), 10..10);
        assert_eq!(page(10, u64::MAX, Direction::Backward, 3), 7..10);
        assert_eq!(page(10, 2, Direction::Backward, max), 0..2);
        assert_eq!(page(10, 0, Direction::Backward, 5), 0..0);
        assert_eq!(page(10, 5, Direction::Backward, 0), 5..5);
    }

    #[test]
    fn own_positions_leave_links_out() {
        let mut stream = Stream::new(DateTime::UNIX_EPOCH);
        stream.push(4);
        stream.push_link(2);
        stream.push(7);
        assert_eq!(stream.own_positions().collect::<Vec<_>>(), [4, 7]);
        assert!(stream.links_to(2));
        assert!(!stream.links_to(4));
        assert_eq!(stream.version(), 3);
    }
}
