use std::ops::ControlFlow;

use cqrs_core::store::{EventFilter, LogPage, RecordedEvent};

/// All events by position. A hard-deleted event leaves its place empty, so that no position is used twice.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The event of position `p` stands at index `p - 1`.
    events: Vec<Option<RecordedEvent>>,
    deleted: u64,
}

impl Log {
    /// The position given last; 0 when none was.
    pub(crate) fn head(&self) -> u64 {
        self.events.len() as u64
    }

    /// How many events there are.
    pub(crate) fn len(&self) -> u64 {
        self.head() - self.deleted
    }

    pub(crate) fn reserve(&mut self, additional: usize) {
        self.events.reserve(additional);
    }

    /// Adds an event, whose position must be the next one.
    pub(crate) fn push(&mut self, event: RecordedEvent) {
        debug_assert_eq!(event.position, self.head() + 1);
        self.events.push(Some(event));
    }

    /// The event at a position, unless it was deleted or never was.
    pub(crate) fn get(&self, position: u64) -> Option<&RecordedEvent> {
        let index = usize::try_from(position.checked_sub(1)?).ok()?;
        self.events.get(index)?.as_ref()
    }

    /// Takes an event out; its position stays empty.
    pub(crate) fn remove(&mut self, position: u64) -> Option<RecordedEvent> {
        let index = usize::try_from(position.checked_sub(1)?).ok()?;
        let event = self.events.get_mut(index)?.take()?;
        self.deleted += 1;
        Some(event)
    }

    /// Takes the last event back: its position is given again.
    pub(crate) fn take_back(&mut self) -> Option<RecordedEvent> {
        self.events.pop().flatten()
    }

    /// Looks at no more than `span` places behind the page's end and adds the events that pass the filter to
    /// it, until it holds `limit`. Breaks when the page is full or the log at its end.
    pub(crate) fn scan(
        &self,
        span: usize,
        filter: &EventFilter,
        limit: usize,
        page: &mut LogPage,
    ) -> ControlFlow<()> {
        let Some(rest) = usize::try_from(page.read_to).ok().and_then(|start| self.events.get(start..)) else {
            return ControlFlow::Break(());
        };
        let (window, last) = if rest.len() > span { (&rest[..span], false) } else { (rest, true) };
        let room = limit.saturating_sub(page.events.len());
        let found = window.iter().flatten().filter(|event| filter.passes(event));
        page.events.extend(found.take(room).cloned());
        if let Some(end) = page.events.last().filter(|_| page.events.len() >= limit) {
            page.read_to = end.position;
            return ControlFlow::Break(());
        }
        page.read_to += window.len() as u64;
        if last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use cqrs_core::event::Metadata;
    use cqrs_core::id::{CausationId, CorrelationId, EventId};
    use cqrs_core::store::StreamId;

    use super::*;

    fn log_of(types: &[&'static str]) -> Log {
        let mut log = Log::default();
        for event_type in types {
            log.push(RecordedEvent {
                event_id: EventId::new(),
                position: log.head() + 1,
                stream_id: StreamId::new("s").unwrap(),
                stream_version: log.head() + 1,
                event_type: (*event_type).into(),
                schema_version: 1,
                data: "{}".into(),
                metadata: Metadata::new(),
                causation_id: CausationId::new(),
                correlation_id: CorrelationId::new(),
                created_at: DateTime::<Utc>::UNIX_EPOCH,
            });
        }
        log
    }

    /// Scans a window of `span` places; gives what the page holds then and how far it reaches.
    fn scan(log: &Log, span: usize, filter: &EventFilter, limit: usize, page: &mut LogPage) -> (bool, u64) {
        (log.scan(span, filter, limit, page).is_continue(), page.read_to)
    }

    fn positions(page: &LogPage) -> Vec<u64> {
        page.events.iter().map(|event| event.position).collect()
    }

    #[test]
    fn a_scan_goes_on_behind_its_window() {
        let log = log_of(&["A", "B", "A", "B", "B"]);
        let filter = EventFilter::types(["A"]);
        let mut page = LogPage::new(Vec::new(), 0);
        assert_eq!(scan(&log, 2, &filter, 10, &mut page), (true, 2));
        assert_eq!(scan(&log, 2, &filter, 10, &mut page), (true, 4));
        assert_eq!(scan(&log, 2, &filter, 10, &mut page), (false, 5));
        assert_eq!(positions(&page), [1, 3]);
    }

    #[test]
    fn a_scan_stops_when_the_page_is_full() {
        let log = log_of(&["A", "A", "A"]);
        let mut page = LogPage::new(Vec::new(), 0);
        assert_eq!(scan(&log, 3, &EventFilter::all(), 2, &mut page), (false, 2));
        assert_eq!(positions(&page), [1, 2]);
    }

    #[test]
    fn a_scan_behind_the_end_finds_nothing() {
        for after in [3, 4, u64::MAX] {
            let mut page = LogPage::new(Vec::new(), after);
            let log = log_of(&["A", "A", "A"]);
            assert_eq!(scan(&log, 10, &EventFilter::all(), 10, &mut page), (false, after));
            assert_eq!(positions(&page), Vec::<u64>::new());
        }
    }

    #[test]
    fn a_removed_event_leaves_its_position_empty() {
        let mut log = log_of(&["A", "A"]);
        assert!(log.remove(2).is_some());
        assert!(log.remove(2).is_none());
        assert_eq!((log.head(), log.len()), (2, 1));
        assert!(log.get(2).is_none());
        assert!(log.get(0).is_none());
    }
}
