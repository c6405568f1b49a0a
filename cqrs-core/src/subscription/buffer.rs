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

    /// This stretch and those behind it as one.
    fn followed_by(&self, others: &[&Arc<Self>]) -> Self {
        let all = || std::iter::once(self).chain(others.iter().map(|other| &***other));
        let events = all().flat_map(|batch| &batch.events).cloned().collect();
        Self::new(self.after, all().last().map_or(self.last, |batch| batch.last), events)
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

    /// What there is behind `position`: the stretch that holds the next position, and as many of the following ones with it
    /// as it takes to come to `events` events.
    pub(crate) fn after(&self, position: u64, events: usize) -> Buffered {
        if position >= self.last {
            return Buffered::AtEnd;
        }
        let begin = self.batches.front().map_or(self.last, |batch| batch.after);
        if position < begin {
            return Buffered::Behind;
        }
        let index = self.batches.partition_point(|batch| batch.last <= position);
        let mut count = 0;
        let mut stretches = self.batches.range(index..).take_while(|batch| {
            let is_wanted = count < events;
            count += batch.events.len().max(1);
            is_wanted
        });
        match (stretches.next(), stretches.next()) {
            (None, _) => Buffered::Batch(Arc::clone(&self.batches[index])),
            (Some(only), None) => Buffered::Batch(Arc::clone(only)),
            (Some(first), Some(second)) => {
                let rest: Vec<_> = std::iter::once(second).chain(stretches).collect();
                Buffered::Batch(Arc::new(first.followed_by(&rest)))
            }
        }
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
        assert!(matches!(buffer.after(4, 1), Buffered::Behind));
        assert!(matches!(buffer.after(5, 1), Buffered::Batch(batch) if batch.last == 8));
        assert!(matches!(buffer.after(7, 1), Buffered::Batch(batch) if batch.last == 8));
        assert!(matches!(buffer.after(8, 1), Buffered::Batch(batch) if batch.last == 9));
        assert!(matches!(buffer.after(9, 1), Buffered::AtEnd));
    }

    #[test]
    fn a_reader_of_many_gets_stretches_together() {
        let mut buffer = Buffer::new(100, 0);
        (0..4).for_each(|at| buffer.push(batch(at, at + 1)));
        let stretch = |position, events| match buffer.after(position, events) {
            Buffered::Batch(batch) => (batch.after, batch.last),
            Buffered::Behind | Buffered::AtEnd => panic!("there is more"),
        };
        assert_eq!(stretch(1, 1), (1, 2));
        assert_eq!(stretch(1, 2), (1, 3), "a stretch that nobody wants anything of counts as an event");
        assert_eq!(stretch(1, 100), (1, 4));
        assert_eq!(stretch(3, 100), (3, 4));
    }

    #[test]
    fn the_oldest_stretch_goes_when_there_is_too_much() {
        let mut buffer = Buffer::new(25, 0);
        (0..4).for_each(|at| buffer.push(batch(at, at + 1)));
        assert!(matches!(buffer.after(0, 1), Buffered::Behind));
        assert!(matches!(buffer.after(2, 1), Buffered::Batch(_)));
        assert!(buffer.bytes <= 25);
    }
}
