use std::fmt;

use crate::aggregate::{Aggregate, Emitter};

/// A list of events of several types, for a decision whose number of events varies.
///
/// ```
/// # use cqrs_core::aggregate::{Aggregate, Events};
/// # use cqrs_core::event::{Event, EventSchema};
/// # #[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)] struct Opened;
/// # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
/// # cqrs_core::event::event_set_of_one!(Opened);
/// # #[derive(Default, Clone)] struct Account;
/// # impl Aggregate for Account {
/// #     type Event = Opened;
/// #     type Error = std::convert::Infallible;
/// #     const NAME: &'static str = "Account";
/// #     const STREAM_PREFIX: &'static str = "account";
/// #     fn apply(&mut self, _: &Opened) {}
/// # }
/// let events: Events<Account> = Events::new().with(Opened);
/// assert_eq!(events.len(), 1);
/// ```
#[derive(Clone, PartialEq)]
pub struct Events<A: Aggregate> {
    events: Vec<A::Event>,
}

impl<A: Aggregate> Events<A> {
    /// No event.
    #[must_use]
    pub fn new() -> Self {
        Self { events: Vec::new() }
    }

    /// Adds an event at the end.
    #[must_use]
    pub fn with(mut self, event: impl Into<A::Event>) -> Self {
        self.push(event);
        self
    }

    /// Adds an event at the end.
    pub fn push(&mut self, event: impl Into<A::Event>) {
        self.events.push(event.into());
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The events, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[A::Event] {
        &self.events
    }
}

impl<A: Aggregate> Default for Events<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Aggregate> fmt::Debug for Events<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.events).finish()
    }
}

impl<A: Aggregate, E: Into<A::Event>> FromIterator<E> for Events<A> {
    fn from_iter<I: IntoIterator<Item = E>>(events: I) -> Self {
        Self { events: events.into_iter().map(Into::into).collect() }
    }
}

/// The shapes that a decision of aggregate `A` may have.
///
/// One event; `()`; `Option`, `Vec`, an array or a tuple of up to eight of the other shapes; [`Events`]; and
/// any of them in a `Result` whose error becomes the aggregate's. `#[aggregate]` implements it for each of
/// the aggregate's event types.
#[diagnostic::on_unimplemented(
    message = "a decision of `{A}` cannot give `{Self}`: an event needs a method with `#[apply]` in the `#[aggregate]` block",
    label = "not an event of `{A}`",
    note = "a decision gives an event of the aggregate, `()`, an `Option`, a `Vec`, an array, a tuple, `Events`, or one of these in a `Result`"
)]
pub trait IntoEvents<A: Aggregate> {
    /// Emits the events.
    ///
    /// # Errors
    /// When the decision is a refusal.
    fn emit_into(self, emitter: &mut Emitter<'_, A>) -> Result<(), A::Error>;
}

impl<A: Aggregate> IntoEvents<A> for Events<A> {
    fn emit_into(self, emitter: &mut Emitter<'_, A>) -> Result<(), A::Error> {
        self.events.into_iter().for_each(|event| emitter.emit(event));
        Ok(())
    }
}

impl<A: Aggregate> IntoEvents<A> for () {
    fn emit_into(self, _: &mut Emitter<'_, A>) -> Result<(), A::Error> {
        Ok(())
    }
}

impl<A: Aggregate, T: IntoEvents<A>> IntoEvents<A> for Option<T> {
    fn emit_into(self, emitter: &mut Emitter<'_, A>) -> Result<(), A::Error> {
        self.map_or(Ok(()), |events| events.emit_into(emitter))
    }
}

impl<A: Aggregate, T: IntoEvents<A>> IntoEvents<A> for Vec<T> {
    fn emit_into(self, emitter: &mut Emitter<'_, A>) -> Result<(), A::Error> {
        self.into_iter().try_for_each(|events| events.emit_into(emitter))
    }
}

impl<A: Aggregate, T: IntoEvents<A>, const N: usize> IntoEvents<A> for [T; N] {
    fn emit_into(self, emitter: &mut Emitter<'_, A>) -> Result<(), A::Error> {
        self.into_iter().try_for_each(|events| events.emit_into(emitter))
    }
}

impl<A: Aggregate, T: IntoEvents<A>, E: Into<A::Error>> IntoEvents<A> for Result<T, E> {
    fn emit_into(self, emitter: &mut Emitter<'_, A>) -> Result<(), A::Error> {
        self.map_err(Into::into)?.emit_into(emitter)
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<A: Aggregate, $($name: IntoEvents<A>),+> IntoEvents<A> for ($($name,)+) {
            #[expect(non_snake_case, reason = "type parameters name the fields")]
            fn emit_into(self, emitter: &mut Emitter<'_, A>) -> Result<(), A::Error> {
                let ($($name,)+) = self;
                $($name.emit_into(emitter)?;)+
                Ok(())
            }
        }
    };
}

tuples!(T1);
tuples!(T1 T2);
tuples!(T1 T2 T3);
tuples!(T1 T2 T3 T4);
tuples!(T1 T2 T3 T4 T5);
tuples!(T1 T2 T3 T4 T5 T6);
tuples!(T1 T2 T3 T4 T5 T6 T7);
tuples!(T1 T2 T3 T4 T5 T6 T7 T8);
