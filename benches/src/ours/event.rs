//! Events made by hand.

use cqrs::event::{EventSet, Metadata};
use cqrs::id::{CausationId, CommandId, CorrelationId, EventId};
use cqrs::store::EventData;
use uuid::Uuid;

use crate::point::BoxError;

/// An event of the bank.
pub(super) fn event(event: &impl EventSet) -> Result<EventData, BoxError> {
    let schema = event.schema();
    Ok(EventData {
        event_id: EventId::new(),
        event_type: schema.name.into(),
        schema_version: schema.version,
        data: event.encode()?,
        metadata: Metadata::new(),
        causation_id: CausationId::from(CommandId::new()),
        correlation_id: CorrelationId::new(),
    })
}

/// An event with that payload and metadata of 70 bytes.
pub(super) fn event_with_metadata(command_id: CommandId, data: bytes::Bytes) -> EventData {
    let mut metadata = Metadata::new();
    metadata.insert("request_id", Uuid::new_v4().to_string());
    metadata.insert("tenant", "b-123");
    EventData {
        event_id: EventId::new(),
        event_type: "MoneyDeposited".into(),
        schema_version: 1,
        data,
        metadata,
        causation_id: CausationId::from(command_id),
        correlation_id: CorrelationId::new(),
    }
}
