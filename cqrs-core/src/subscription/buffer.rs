use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::store::RecordedEvent;

/// The latest events that the tail reader has read: a window on the log, bounded in bytes.
pub(crate) struct Buffer {
    batches: VecDeque<Arc<Batch>>,
    bytes: usize,
    limit: usize,
    /// Up to where the log has been read.
    last: u64,
}

/// A stretch of the log, read at once: the events between two positions that anybody is interested in.
pub(crate) struct Batch {
    /// The stretch begins behind this position.
    pub(crate) after: u64,
    /// The stretch ends at this position.
    pub(crate) last: u64,
    pub(crate) events: Vec<RecordedEvent>,
    /// The types of the events, each once.
    pub(crate) types: HashSet<Cow<'static, str>>,
    bytes: usize,
}

/// What the buffer has for a reader that has come to some position.
pub(crate) enum Buffered {
    /// The stretch of the log that holds the next position.
    Batch(Arc<Batch>),
    /// The next position has left the buffer: the reader has to read the log by itself.
    Behind,
    /// There is nothing newer.
    AtEnd,
}

impl Batch {
    pub(crate) fn new(after: u64, last: u64, events: Vec<RecordedEvent>) -> Self {
        let bytes = events.iter().map(size_of_event).sum();
        let mut types = HashSet::new();
        for event in &events {
            if !types.contains(&event.event_type) {
                types.insert(event.event_type.clone());
            }
        }
        Self { after, last, events, types, bytes }
    }
}

/// What an event takes in memory, roughly: payload and metadata, ids and names.
fn size_of_event(event: &RecordedEvent) -> usize {
    let metadata: usize = event.metadata.iter().map(|(name, _)| name.len() + 64).sum();
    size_of::<RecordedEvent>() + event.data.len() + event.stream_id.as_str().len() + metadata
}

impl Buffer {
    pub(crate) fn new(limit: usize, last: u64) -> Self {
        Self { batches: VecDeque::new(), bytes: 0, limit, last }
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Adds the next stretch; the oldest ones go when there is too much. The newest always stays.
    pub(crate) fn push(&mut self, batch: Arc<Batch>) {
        self.last = batch.last;
        self.bytes += batch.bytes;
        self.batches.push_back(batch);
        while self.bytes > self.limit && self.batches.len() > 1 {
            if let Some(oldest) = self.batches.pop_front() {
                self.bytes -= oldest.bytes;
            }
        }
    }

    pub(crate) fn after(&self, position: u64) -> Buffered {
        if position >= self.last {
            return Buffered::AtEnd;
        }
        let begin = self.batches.front().map_or(self.last, |batch| batch.after);
        if position < begin {
            return Buffered::Behind;
        }
        let index = self.batches.partition_point(|batch| batch.last <= position);
        Buffered::Batch(Arc::clone(&self.batches[index]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(after: u64, last: u64) -> Arc<Batch> {
        Arc::new(Batch { bytes: 10, ..Batch::new(after, last, Vec::new()) })
    }

    #[test]
    fn a_reader_gets_the_stretch_with_its_next_position() {
        let mut buffer = Buffer::new(100, 5);
        buffer.push(batch(5, 8));
        buffer.push(batch(8, 9));
        assert!(matches!(buffer.after(4), Buffered::Behind));
        assert!(matches!(buffer.after(5), Buffered::Batch(batch) if batch.last == 8));
        assert!(matches!(buffer.after(7), Buffered::Batch(batch) if batch.last == 8));
        assert!(matches!(buffer.after(8), Buffered::Batch(batch) if batch.last == 9));
        assert!(matches!(buffer.after(9), Buffered::AtEnd));
    }

    #[test]
    fn the_oldest_stretch_goes_when_there_is_too_much() {
        let mut buffer = Buffer::new(25, 0);
        (0..4).for_each(|at| buffer.push(batch(at, at + 1)));
        assert!(matches!(buffer.after(0), Buffered::Behind));
        assert!(matches!(buffer.after(2), Buffered::Batch(_)));
        assert!(buffer.bytes <= 25);
    }
}
