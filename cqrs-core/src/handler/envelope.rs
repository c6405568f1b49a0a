use std::ops::Deref;

use crate::event::EventContext;

/// An event of a batch, which it derefs to, and what is known about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Envelope<E> {
    /// The event.
    pub event: E,
    /// What is known about it.
    pub context: EventContext,
}

impl<E> Envelope<E> {
    /// An event of a batch; for handlers that are made by hand.
    #[must_use]
    pub fn new(event: E, context: EventContext) -> Self {
        Self { event, context }
    }
}

impl<E> Deref for Envelope<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.event
    }
}
