use std::ops::Deref;

use crate::event::EventContext;

/// An event of a batch, which it derefs to, and what is known about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Envelope<E, Context = EventContext> {
    /// The event.
    pub event: E,
    /// What is known about it.
    pub context: Context,
}

impl<E, Context> Envelope<E, Context> {
    /// An event of a batch; for handlers and projections that are made by hand.
    #[must_use]
    pub fn new(event: E, context: Context) -> Self {
        Self { event, context }
    }
}

impl<E, Context> Deref for Envelope<E, Context> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.event
    }
}
