//! Looking into a store, and writing to it past the application.

use std::collections::HashMap;

use cqrs::event::Metadata;
use cqrs::id::{CommandId, CorrelationId, EventId};
use cqrs::store::{
    Append, Direction, EventData, EventFilter, EventStore, ExpectedVersion, RecordedEvent, StreamId,
};
use serde_json::Value;

pub fn stream(id: &str) -> StreamId {
    StreamId::new(id).unwrap()
}

/// The events of a stream.
pub async fn events_of(store: &impl EventStore, stream_id: &str) -> Vec<RecordedEvent> {
    store.read_stream(&stream(stream_id), 1, Direction::Forward, usize::MAX).await.unwrap()
}

/// The wire names of the events of a stream.
pub async fn names_of(store: &impl EventStore, stream_id: &str) -> Vec<String> {
    let events = events_of(store, stream_id).await;
    events.into_iter().map(|event| event.event_type.into_owned()).collect()
}

/// The whole log, whose positions and versions must have neither hole nor duplicate (G3, G4).
pub async fn sound_log(store: &impl EventStore) -> Vec<RecordedEvent> {
    let log = store.read_log(0, &EventFilter::all(), usize::MAX).await.unwrap().events;
    let mut versions: HashMap<StreamId, u64> = HashMap::new();
    for (event, position) in log.iter().zip(1..) {
        assert_eq!(event.position, position, "a hole or a duplicate in the log");
        let version = versions.entry(event.stream_id.clone()).or_default();
        *version += 1;
        assert_eq!(event.stream_version, *version, "a hole or a duplicate in {}", event.stream_id);
    }
    log
}

/// An event as another program might write it.
pub fn raw(event_type: &'static str, schema_version: u32, data: &Value) -> EventData {
    EventData {
        event_id: EventId::new(),
        event_type: event_type.into(),
        schema_version,
        data: serde_json::to_vec(data).unwrap().into(),
        metadata: Metadata::new(),
        causation_id: CommandId::new().into(),
        correlation_id: CorrelationId::new(),
    }
}

/// An append to a stream, whatever its version.
pub fn append_to(stream_id: &str, events: Vec<EventData>) -> Append {
    Append::to_stream(CommandId::new(), stream(stream_id), ExpectedVersion::Any, events)
}

/// Writes to a stream past the application, as another node would.
pub async fn write(store: &impl EventStore, stream_id: &str, events: Vec<EventData>) {
    store.append(append_to(stream_id, events)).await.unwrap();
}
