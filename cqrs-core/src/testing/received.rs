use crate::event::EventSet;
use crate::store::RecordedEvent;

/// An event that was found in the log: as its type, and as the store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceivedEvent<E: EventSet> {
    /// The event, upcast to the present version of its type.
    pub event: E,
    /// How it is stored: position, stream, ids, metadata.
    pub recorded: RecordedEvent,
}
