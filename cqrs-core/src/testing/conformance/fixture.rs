//! What the cases are made of.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId, EventId, NodeId};
use crate::store::{
    Append, AppendError, Appended, Direction, EventData, EventFilter, ExpectedVersion, Link, RecordedEvent,
    Store, StoreError, StreamId, StreamInfo, StreamWrite,
};

/// The wire name of the events of [`event`].
pub(super) const COUNTED: &str = "Counted";

/// A stream of that name.
pub(super) fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("the suite's stream ids are valid")
}

/// An event that carries a number.
pub(super) fn event(number: usize) -> EventData {
    event_of(COUNTED, number)
}

/// An event of a type, that carries a number.
pub(super) fn event_of(event_type: &'static str, number: usize) -> EventData {
    EventData {
        event_id: EventId::new(),
        event_type: event_type.into(),
        schema_version: 1,
        data: Bytes::from(format!("{{\"number\":{number}}}")),
        metadata: Metadata::new(),
        causation_id: CausationId::new(),
        correlation_id: CorrelationId::new(),
    }
}

/// Events that carry the numbers from 1 on.
pub(super) fn events(count: usize) -> Vec<EventData> {
    (1..=count).map(event).collect()
}

/// What a payload says. A store may keep the value of a JSON text in place of the text: spaces, the order of keys
/// and how a number is written are its own affair.
#[track_caller]
pub(super) fn json(payload: &Bytes) -> serde_json::Value {
    serde_json::from_slice(payload).expect("a payload is JSON")
}

/// The write of events to a stream.
pub(super) fn to(stream_id: &StreamId, expected: ExpectedVersion, events: Vec<EventData>) -> StreamWrite {
    StreamWrite::Events { stream_id: stream_id.clone(), expected, events }
}

/// The write of a state that holds its version.
pub(super) fn state(stream_id: &StreamId, expected: u64, version: u64) -> StreamWrite {
    StreamWrite::State {
        stream_id: stream_id.clone(),
        expected,
        version,
        schema_version: 1,
        data: Bytes::from(format!("{{\"version\":{version}}}")),
    }
}

/// An append of several writes, with an id of its own.
pub(super) fn append_of(writes: impl Into<Vec<StreamWrite>>) -> Append {
    Append { id: CommandId::new(), writes: writes.into() }
}

/// The calls that most cases make, and that must succeed in them.
pub(super) trait Calls {
    /// Appends events to one stream.
    async fn try_write(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        events: Vec<EventData>,
    ) -> Result<Appended, AppendError>;

    /// Appends so many events to one stream, whatever its version.
    async fn write(&self, stream_id: &StreamId, count: usize) -> Appended;

    /// The events of a stream.
    async fn events_of(&self, stream_id: &StreamId) -> Vec<RecordedEvent>;

    /// A page of a stream.
    async fn page(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Vec<RecordedEvent>;

    /// The events of the log.
    async fn log(&self) -> Vec<RecordedEvent>;

    /// What the store tells of a stream.
    async fn info(&self, stream_id: &StreamId) -> Option<StreamInfo>;

    /// The version of a stream; 0 when it does not exist.
    async fn version_of(&self, stream_id: &StreamId) -> u64;

    /// The position of the latest event.
    async fn position(&self) -> u64;

    /// Links positions into a stream, whatever its version.
    async fn try_link(&self, stream_id: &StreamId, positions: &[u64]) -> Result<u64, AppendError>;
}

impl Calls for Arc<dyn Store> {
    async fn try_write(
        &self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        events: Vec<EventData>,
    ) -> Result<Appended, AppendError> {
        self.append(append_of([to(stream_id, expected, events)])).await
    }

    async fn write(&self, stream_id: &StreamId, count: usize) -> Appended {
        self.try_write(stream_id, ExpectedVersion::Any, events(count))
            .await
            .expect("an append that expects nothing succeeds")
    }

    async fn events_of(&self, stream_id: &StreamId) -> Vec<RecordedEvent> {
        self.page(stream_id, 1, Direction::Forward, usize::MAX).await
    }

    async fn page(
        &self,
        stream_id: &StreamId,
        from: u64,
        direction: Direction,
        limit: usize,
    ) -> Vec<RecordedEvent> {
        self.read_stream(stream_id, from, direction, limit).await.expect("an open stream can be read")
    }

    async fn log(&self) -> Vec<RecordedEvent> {
        self.read_log(0, &EventFilter::all(), usize::MAX).await.expect("the log can be read").events
    }

    async fn info(&self, stream_id: &StreamId) -> Option<StreamInfo> {
        self.stream_info(stream_id).await.expect("a stream can be looked up")
    }

    async fn version_of(&self, stream_id: &StreamId) -> u64 {
        self.info(stream_id).await.map_or(0, |info| info.version)
    }

    async fn position(&self) -> u64 {
        self.head().await.expect("the head can be read")
    }

    async fn try_link(&self, stream_id: &StreamId, positions: &[u64]) -> Result<u64, AppendError> {
        self.link(Link {
            stream_id: stream_id.clone(),
            expected: ExpectedVersion::Any,
            positions: positions.to_vec(),
        })
        .await
    }
}

/// The calls that cases of leases make, and that must succeed in them.
pub(super) trait Leases {
    /// Takes a lease; gives its epoch, or `None` when another owner has it.
    async fn take(&self, name: &str, owner: NodeId, ttl: Duration) -> Option<u64>;

    /// The leases that a node has, by name. Asking prolongs them by an hour.
    async fn held(&self, owner: NodeId) -> Vec<(String, u64)>;

    /// Saves the checkpoint of a handler, for a node that takes its lease for this alone.
    async fn save(&self, handler: &str, position: u64);
}

impl Leases for Arc<dyn Store> {
    async fn take(&self, name: &str, owner: NodeId, ttl: Duration) -> Option<u64> {
        self.acquire_lease(name, owner, ttl).await.expect("leases can be asked for")
    }

    async fn held(&self, owner: NodeId) -> Vec<(String, u64)> {
        let held = self.renew_leases(owner, Duration::from_secs(3_600)).await;
        let held = held.expect("leases can be renewed").into_iter();
        let mut held: Vec<_> = held.map(|lease| (lease.name, lease.epoch)).collect();
        held.sort_unstable();
        held
    }

    async fn save(&self, handler: &str, position: u64) {
        let epoch = self.take(handler, NodeId::new(), Duration::ZERO).await.expect("nobody has the lease");
        let saved = self.save_checkpoint(handler, position, epoch).await;
        saved.expect("the owner can save the checkpoint");
    }
}

/// The positions of events.
pub(super) fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}

/// The versions of events in their streams of origin.
pub(super) fn versions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.stream_version).collect()
}

/// The ids of events.
pub(super) fn ids(events: &[RecordedEvent]) -> Vec<EventId> {
    events.iter().map(|event| event.event_id).collect()
}

/// The numbers from 1 to `last`.
pub(super) fn one_to(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

/// That a result is a conflict of this stream, found at this version.
#[track_caller]
pub(super) fn assert_conflict<T: std::fmt::Debug>(
    result: Result<T, AppendError>,
    stream_id: &StreamId,
    expected: ExpectedVersion,
    actual: u64,
) {
    match result {
        Err(AppendError::WrongExpectedVersion {
            stream_id: found_stream,
            expected: found_expected,
            actual: found_actual,
        }) => assert_eq!((&found_stream, found_expected, found_actual), (stream_id, expected, actual)),
        other => panic!("expected a version conflict, found {other:?}"),
    }
}

/// That a result names this stream as deleted.
#[track_caller]
pub(super) fn assert_deleted<T: std::fmt::Debug>(result: Result<T, AppendError>, stream_id: &StreamId) {
    match result {
        Err(AppendError::StreamDeleted { stream_id: found }) => assert_eq!(&found, stream_id),
        other => panic!("expected a deleted stream, found {other:?}"),
    }
}

/// That reading was refused because this stream is deleted.
#[track_caller]
pub(super) fn assert_unreadable<T: std::fmt::Debug>(result: Result<T, StoreError>, stream_id: &StreamId) {
    match result {
        Err(StoreError::StreamDeleted { stream_id: found }) => assert_eq!(&found, stream_id),
        other => panic!("expected a deleted stream, found {other:?}"),
    }
}

/// That a result names this event as one that is there already.
#[track_caller]
pub(super) fn assert_duplicate<T: std::fmt::Debug>(result: Result<T, AppendError>, id: EventId) {
    match result {
        Err(AppendError::DuplicateEvent { event_id }) => assert_eq!(event_id, id),
        other => panic!("expected a duplicate event, found {other:?}"),
    }
}

/// That a link to this position was refused.
#[track_caller]
pub(super) fn assert_invalid_link<T: std::fmt::Debug>(result: Result<T, AppendError>, position: u64) {
    match result {
        Err(AppendError::InvalidLink { position: found, .. }) => assert_eq!(found, position),
        other => panic!("expected an invalid link, found {other:?}"),
    }
}
