use std::collections::HashSet;

use bytes::Bytes;
use cqrs_core::id::EventId;
use cqrs_core::store::{
    Append, AppendError, Appended, EventData, ExpectedVersion, StoreError, StreamId, StreamWrite,
};
use tokio::sync::oneshot;

use crate::payload::stored_metadata;

/// Appends that happen together or not at all, and where the answer goes.
pub(crate) struct Request {
    pub(crate) unit: Unit,
    pub(crate) reply: oneshot::Sender<Result<Vec<Appended>, AppendError>>,
}

/// Appends that happen together or not at all.
pub(crate) struct Unit {
    pub(crate) appends: Vec<Append>,
    /// Whether an id that is known refuses the unit, instead of giving its first outcome.
    pub(crate) is_chain: bool,
    /// The metadata of the events, encoded, in their order.
    pub(crate) metadata: Vec<Option<Bytes>>,
    pub(crate) bytes: usize,
    pub(crate) events: usize,
}

impl Unit {
    pub(crate) fn one(append: Append) -> Self {
        Self::of(vec![append], false)
    }

    pub(crate) fn chain(appends: Vec<Append>) -> Self {
        Self::of(appends, true)
    }

    fn of(appends: Vec<Append>, is_chain: bool) -> Self {
        let metadata: Vec<_> = events_of(&appends).map(|event| stored_metadata(&event.metadata)).collect();
        let events = metadata.len();
        let payloads: usize = events_of(&appends).map(|event| event.data.len()).sum();
        let states: usize = writes_of(&appends)
            .map(|write| match write {
                StreamWrite::State { data, .. } => data.len(),
                _ => 0,
            })
            .sum();
        let bytes = payloads + states + metadata.iter().flatten().map(Bytes::len).sum::<usize>();
        Self { appends, is_chain, metadata, bytes, events }
    }

    pub(crate) fn writes(&self) -> impl Iterator<Item = &StreamWrite> {
        writes_of(&self.appends)
    }

    pub(crate) fn events(&self) -> impl Iterator<Item = &EventData> {
        events_of(&self.appends)
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &StreamId> {
        self.writes().map(StreamWrite::stream_id)
    }

    /// The events of the unit's only write, if it is no more than that.
    pub(crate) fn only_write(&self) -> Option<(&Append, &StreamId, ExpectedVersion, &[EventData])> {
        match &*self.appends {
            [append] => match &*append.writes {
                [StreamWrite::Events { stream_id, expected, events }] if !events.is_empty() => {
                    Some((append, stream_id, *expected, events))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether one statement can write it. A chain must be writes of one kind to one stream, each of which expects
    /// what the one before it leaves: they count as one write then.
    pub(crate) fn is_simple(&self) -> bool {
        self.appends.len() <= 1 || self.is_run_of_events() || self.is_run_of_states()
    }

    fn is_run_of_events(&self) -> bool {
        let mut run: Option<(&StreamId, u64)> = None;
        self.appends.iter().all(|append| {
            let [StreamWrite::Events { stream_id, expected, events }] = &*append.writes else {
                return false;
            };
            let version = match (run, *expected) {
                (None, ExpectedVersion::NoStream) => 0,
                (None, ExpectedVersion::Exact(version)) => version,
                (Some((first, version)), expected) if first == stream_id && expected.allows(version) => {
                    version
                }
                _ => return false,
            };
            run = version.checked_add(events.len() as u64).map(|version| (stream_id, version));
            run.is_some()
        })
    }

    fn is_run_of_states(&self) -> bool {
        let mut run: Option<(&StreamId, u64)> = None;
        self.appends.iter().all(|append| {
            let [StreamWrite::State { stream_id, expected, version, .. }] = &*append.writes else {
                return false;
            };
            let follows = run.is_none_or(|(first, version)| first == stream_id && version == *expected);
            run = Some((stream_id, *version));
            follows && version > expected
        })
    }

    /// What can be refused without asking the database.
    pub(crate) fn check(&self, limit: usize) -> Result<(), AppendError> {
        for append in &self.appends {
            let mut streams = HashSet::with_capacity(append.writes.len());
            for write in &append.writes {
                if !streams.insert(write.stream_id()) {
                    let (append_id, stream_id) = (append.id, write.stream_id().clone());
                    return Err(AppendError::StreamTwice { append_id, stream_id });
                }
                if !matches!(write, StreamWrite::Events { .. } | StreamWrite::State { .. }) {
                    let fault = format!("this store cannot make the write {write:?}");
                    return Err(AppendError::Store(StoreError::Failed(fault.into())));
                }
            }
        }
        let mut ids: HashSet<EventId> = HashSet::with_capacity(self.events);
        if let Some(twice) = self.events().find(|event| !ids.insert(event.event_id)) {
            return Err(AppendError::DuplicateEvent { event_id: twice.event_id });
        }
        let mut appends = HashSet::with_capacity(self.appends.len());
        if let Some(twice) = self.appends.iter().find(|append| !appends.insert(append.id)) {
            return Err(AppendError::AlreadyAppended { append_id: twice.id });
        }
        match self.appends.first() {
            Some(first) if self.bytes > limit => {
                Err(AppendError::TooLarge { append_id: first.id, bytes: self.bytes, limit })
            }
            _ => Ok(()),
        }
    }
}

fn writes_of(appends: &[Append]) -> impl Iterator<Item = &StreamWrite> {
    appends.iter().flat_map(|append| &append.writes)
}

fn events_of(appends: &[Append]) -> impl Iterator<Item = &EventData> {
    writes_of(appends).flat_map(events_in)
}

/// The events of a write; none when it writes a state.
pub(crate) fn events_in(write: &StreamWrite) -> &[EventData] {
    match write {
        StreamWrite::Events { events, .. } => events,
        _ => &[],
    }
}
