use crate::event::{Event, EventSchema};

/// One event type in the program-wide list, put there by `#[derive(Event)]` through `inventory`.
#[derive(Clone, Copy, Debug)]
pub struct EventRegistration {
    pub(crate) schema: &'static EventSchema,
}

impl EventRegistration {
    /// The registration of an event type.
    #[must_use]
    pub const fn of<E: Event>() -> Self {
        Self { schema: E::SCHEMA }
    }
}

inventory::collect!(EventRegistration);
