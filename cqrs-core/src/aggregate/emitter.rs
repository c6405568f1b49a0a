use std::fmt;

use crate::aggregate::{Aggregate, IntoEvents};

/// Takes the events of one command, and shows the state that they lead to.
///
/// Each event is applied to a copy of the state at once, so that a later step of the same command sees what
/// the earlier ones did. When the command is refused in the end, all of it is thrown away. This is
/// Commanded's `Multi`, without the pipeline.
///
/// ```
/// # use cqrs_core::aggregate::{Aggregate, Emitter};
/// # use cqrs_core::event::{Event, EventSchema};
/// # #[derive(serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)] struct Withdrawn(u64);
/// # impl Event for Withdrawn { const SCHEMA: &'static EventSchema = &EventSchema::new("Withdrawn", 1); }
/// # cqrs_core::event::event_set_of_one!(Withdrawn);
/// # #[derive(Default, Clone)] struct Account { balance: u64 }
/// # #[derive(Debug)] struct Refused;
/// # impl std::fmt::Display for Refused { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("refused") } }
/// # impl std::error::Error for Refused {}
/// # impl Aggregate for Account {
/// #     type Event = Withdrawn;
/// #     type Error = Refused;
/// #     const NAME: &'static str = "Account";
/// #     const STREAM_PREFIX: &'static str = "account";
/// #     fn apply(&mut self, event: &Withdrawn) { self.balance -= event.0; }
/// # }
/// fn withdraw_all_of(amounts: &[u64], emitter: &mut Emitter<'_, Account>) -> Result<(), Refused> {
///     for amount in amounts {
///         if emitter.state().balance < *amount {
///             return Err(Refused);
///         }
///         emitter.emit(Withdrawn(*amount));
///     }
///     Ok(())
/// }
///
/// let account = Account { balance: 100 };
/// let mut emitter = Emitter::new(&account);
/// withdraw_all_of(&[60, 30], &mut emitter).unwrap();
/// assert_eq!(emitter.state().balance, 10);
/// assert_eq!(emitter.events(), [Withdrawn(60), Withdrawn(30)]);
/// ```
pub struct Emitter<'a, A: Aggregate> {
    base: &'a A,
    changed: Option<A>,
    events: Vec<A::Event>,
}

impl<'a, A: Aggregate> Emitter<'a, A> {
    /// An emitter that begins at `state`.
    #[must_use]
    pub fn new(state: &'a A) -> Self {
        Self { base: state, changed: None, events: Vec::new() }
    }

    /// The state with all that was emitted so far.
    #[must_use]
    pub fn state(&self) -> &A {
        self.changed.as_ref().unwrap_or(self.base)
    }

    /// What was emitted so far.
    #[must_use]
    pub fn events(&self) -> &[A::Event] {
        &self.events
    }

    /// Emits an event.
    pub fn emit(&mut self, event: impl Into<A::Event>) {
        let event = event.into();
        self.changed.get_or_insert_with(|| self.base.clone()).apply(&event);
        self.events.push(event);
    }

    /// Runs one step, a function of the state so far, and emits what it gives.
    ///
    /// # Errors
    /// Whatever the step says; the command is then refused as a whole when the error is passed on.
    pub fn step<T: IntoEvents<A>>(&mut self, step: impl FnOnce(&A) -> T) -> Result<(), A::Error> {
        step(self.state()).emit_into(self)
    }

    pub(crate) fn finish(self) -> (Vec<A::Event>, Option<A>) {
        (self.events, self.changed)
    }
}

impl<A: Aggregate> fmt::Debug for Emitter<'_, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Emitter").field("events", &self.events).finish_non_exhaustive()
    }
}
