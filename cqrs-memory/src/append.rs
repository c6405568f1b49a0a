use std::collections::HashSet;

use chrono::{DateTime, Utc};
use cqrs_core::clock::Clock;
use cqrs_core::id::EventId;
use cqrs_core::store::{
    Append, AppendError, Appended, EventData, ExpectedVersion, RecordedEvent, StoreError, StoredState,
    StreamId, StreamWrite, WrittenStream,
};

use crate::contents::Contents;
use crate::id_hash::IdHash;
use crate::stream::Stream;

impl Contents {
    /// Makes an append, or finds its first outcome.
    pub(crate) fn append(&mut self, append: Append, clock: &dyn Clock) -> Result<Appended, AppendError> {
        if let Some(first) = self.outcome(append.id) {
            return Ok(first);
        }
        self.check_append(&append)?;
        Ok(self.make(append, clock.now()))
    }

    /// Makes an append that was checked.
    pub(crate) fn make(&mut self, append: Append, now: DateTime<Utc>) -> Appended {
        let streams: Vec<WrittenStream> =
            append.writes.into_iter().map(|write| self.write(write, now)).collect();
        let wrote_events = streams.iter().any(|stream| stream.events > 0);
        let appended =
            Appended { streams, position: if wrote_events { self.log.head() } else { 0 }, repeated: false };
        self.outcomes.insert(append.id, appended.clone());
        appended
    }

    pub(crate) fn check_append(&self, append: &Append) -> Result<(), AppendError> {
        check_streams_differ(append)?;
        for write in &append.writes {
            self.check_write(write)?;
        }
        self.check_event_ids(append)?;
        self.check_room(append)
    }

    fn check_write(&self, write: &StreamWrite) -> Result<(), AppendError> {
        match write {
            StreamWrite::Events { stream_id, expected, .. } => {
                self.check_stream(stream_id, *expected).map(drop)
            }
            StreamWrite::State { stream_id, expected, version, .. } => {
                self.check_state(stream_id, *expected, *version)
            }
            unknown => Err(AppendError::Store(StoreError::Failed(
                format!("this store cannot make the write {unknown:?}").into(),
            ))),
        }
    }

    /// That a stream is open and as expected; gives its version.
    pub(crate) fn check_stream(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
    ) -> Result<u64, AppendError> {
        let stream = self.streams.get(stream_id);
        if stream.is_some_and(Stream::is_deleted) {
            return Err(AppendError::StreamDeleted { stream_id: stream_id.clone() });
        }
        let actual = stream.map_or(0, Stream::version);
        if expected.allows(actual) {
            return Ok(actual);
        }
        Err(AppendError::WrongExpectedVersion { stream_id: stream_id.clone(), expected, actual })
    }

    fn check_state(&self, stream_id: &StreamId, expected: u64, version: u64) -> Result<(), AppendError> {
        let actual = self.states.get(stream_id).map_or(0, |state| state.version);
        if actual != expected {
            return Err(AppendError::WrongExpectedVersion {
                stream_id: stream_id.clone(),
                expected: ExpectedVersion::Exact(expected),
                actual,
            });
        }
        if version <= expected {
            let fault = format!(
                "the state of stream {stream_id:?} cannot go from version {expected} to version {version}"
            );
            return Err(AppendError::Store(StoreError::Failed(fault.into())));
        }
        Ok(())
    }

    fn check_event_ids(&self, append: &Append) -> Result<(), AppendError> {
        let count = event_count(append);
        // Nearly every append holds one event, which cannot be in it twice.
        let mut seen: HashSet<EventId, IdHash> = HashSet::default();
        if count > 1 {
            seen.reserve(count);
        }
        for event in append.writes.iter().flat_map(events_of) {
            let id = event.event_id;
            if self.event_ids.contains(&id) || (count > 1 && !seen.insert(id)) {
                return Err(AppendError::DuplicateEvent { event_id: id });
            }
        }
        Ok(())
    }

    fn check_room(&self, append: &Append) -> Result<(), AppendError> {
        let Some(limit) = self.max_events else {
            return Ok(());
        };
        let count = event_count(append) as u64;
        if count > 0 && self.log.len() + count > limit {
            return Err(AppendError::Full { limit });
        }
        Ok(())
    }

    /// Makes a write that was checked.
    fn write(&mut self, write: StreamWrite, now: DateTime<Utc>) -> WrittenStream {
        match write {
            StreamWrite::Events { stream_id, events, .. } => self.write_events(stream_id, events, now),
            StreamWrite::State { stream_id, version, schema_version, data, .. } => {
                let state = StoredState { version, schema_version, data };
                self.states.insert(stream_id.clone(), state);
                WrittenStream { stream_id, version, events: 0 }
            }
            _ => unreachable!("unknown writes were refused before anything was written"),
        }
    }

    fn write_events(
        &mut self,
        stream_id: StreamId,
        events: Vec<EventData>,
        now: DateTime<Utc>,
    ) -> WrittenStream {
        if events.is_empty() {
            // A stream that holds nothing does not exist: none is begun here.
            let version = self.streams.get(&stream_id).map_or(0, Stream::version);
            return WrittenStream { stream_id, version, events: 0 };
        }
        let count = events.len() as u64;
        let stream = self.streams.entry(stream_id.clone()).or_insert_with(|| Stream::new(now));
        self.log.reserve(events.len());
        for event in events {
            let position = self.log.head() + 1;
            self.event_ids.insert(event.event_id);
            stream.push(position);
            self.log.push(record(event, position, stream_id.clone(), stream.version(), now));
        }
        WrittenStream { stream_id, version: stream.version(), events: count }
    }
}

fn check_streams_differ(append: &Append) -> Result<(), AppendError> {
    if append.writes.len() < 2 {
        return Ok(());
    }
    let mut seen = HashSet::with_capacity(append.writes.len());
    for write in &append.writes {
        if !seen.insert(write.stream_id()) {
            return Err(AppendError::StreamTwice {
                append_id: append.id,
                stream_id: write.stream_id().clone(),
            });
        }
    }
    Ok(())
}

fn event_count(append: &Append) -> usize {
    append.writes.iter().map(|write| events_of(write).len()).sum()
}

fn events_of(write: &StreamWrite) -> &[EventData] {
    match write {
        StreamWrite::Events { events, .. } => events,
        _ => &[],
    }
}

fn record(
    event: EventData,
    position: u64,
    stream_id: StreamId,
    stream_version: u64,
    created_at: DateTime<Utc>,
) -> RecordedEvent {
    RecordedEvent {
        event_id: event.event_id,
        position,
        stream_id,
        stream_version,
        event_type: event.event_type,
        schema_version: event.schema_version,
        data: event.data,
        metadata: event.metadata,
        causation_id: event.causation_id,
        correlation_id: event.correlation_id,
        created_at,
    }
}
