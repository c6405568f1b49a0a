use std::fmt;
use std::panic::Location;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::aggregate::{Aggregate, Emitter, Execute};
use crate::command::{Command, CommandContext, CommandHandler, ErasedCommand, ValidationErrors};
use crate::event::Metadata;
use crate::store::StreamId;
use crate::testing::clock::standstill;
use crate::testing::{EventList, When};

/// An aggregate as its events made it, ready for a command: the beginning of a scenario, and what follows
/// each of its assertions.
///
/// See [`given`].
#[derive(Clone)]
pub struct Given<A: Aggregate> {
    pub(crate) state: A,
    pub(crate) version: u64,
    stream_id: Option<StreamId>,
    now: DateTime<Utc>,
    metadata: Metadata,
}

/// Begins a scenario of an aggregate that has these events: an array or `Vec` of one type, a tuple of
/// several, [`Events`](crate::aggregate::Events), or `()`.
///
/// There is neither store nor application, and nothing to await. The state goes on from command to command:
///
/// ```
/// # use cqrs_core::{aggregate::*, command::*, event::*, router::*};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)] struct Moved(i64);
/// # impl Event for Moved { const SCHEMA: &'static EventSchema = &EventSchema::new("Moved", 1); }
/// # cqrs_core::event::event_set_of_one!(Moved);
/// # #[derive(Default, Clone)] struct Account { balance: i64 }
/// # #[derive(Debug, PartialEq)] struct Overdrawn;
/// # impl std::fmt::Display for Overdrawn { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("overdrawn") } }
/// # impl std::error::Error for Overdrawn {}
/// # impl Aggregate for Account {
/// #     type Event = Moved;
/// #     type Error = Overdrawn;
/// #     const NAME: &'static str = "Account";
/// #     const STREAM_PREFIX: &'static str = "account";
/// #     fn apply(&mut self, event: &Moved) { self.balance += event.0; }
/// # }
/// # struct BankRouter;
/// # impl Router for BankRouter { const NAME: &'static str = "BankRouter"; type Includes = (); }
/// # #[derive(Serialize, Deserialize)] struct Withdraw { account_id: String, amount: i64 }
/// # impl Command for Withdraw {
/// #     type Router = BankRouter;
/// #     type Aggregate = Account;
/// #     type Handler = Direct;
/// #     const NAME: &'static str = "Withdraw";
/// #     fn identity(&self) -> impl std::fmt::Display { &self.account_id }
/// # }
/// # impl Execute<Withdraw> for Account {
/// #     fn execute(&self, command: &Withdraw, emitter: &mut Emitter<'_, Self>, _: &CommandContext) -> Result<(), Overdrawn> {
/// #         if command.amount > self.balance { return Err(Overdrawn); }
/// #         emitter.emit(Moved(-command.amount));
/// #         Ok(())
/// #     }
/// # }
/// # fn withdraw(amount: i64) -> Withdraw { Withdraw { account_id: "a-1".into(), amount } }
/// use cqrs_core::testing::given;
///
/// given::<Account>([Moved(100)])
///     .when(withdraw(70))
///     .then_events([Moved(-70)])
///     .then_state(|account| assert_eq!(account.balance, 30))
///     .when(withdraw(70))
///     .then_error(Overdrawn);
/// ```
///
/// A command of which nothing is asserted fails the test, and a second command behind it does not compile:
///
/// ```compile_fail,E0599
/// # use cqrs_core::{aggregate::*, command::*, testing::given};
/// # fn example<A: Aggregate + Execute<C>, C: Command<Aggregate = A>>(first: C, second: C) {
/// given::<A>(()).when(first).when(second).then_no_events();
/// # }
/// ```
#[must_use = "a scenario goes on with `.when(..)`"]
pub fn given<A: Aggregate>(events: impl EventList<A>) -> Given<A> {
    let mut given = Given::of(A::default());
    for event in events.into_vec() {
        given.state.apply(&event);
        given.version += 1;
    }
    given
}

/// Begins a scenario of an aggregate that has no event.
#[must_use = "a scenario goes on with `.when(..)`"]
pub fn given_nothing<A: Aggregate>() -> Given<A> {
    Given::of(A::default())
}

/// Begins a scenario of an aggregate in this state, for states that many events would lead to. Its version
/// is 0 unless [`Given::version`] sets it.
#[must_use = "a scenario goes on with `.when(..)`"]
pub fn given_state<A: Aggregate>(state: A) -> Given<A> {
    Given::of(state)
}

impl<A: Aggregate> Given<A> {
    fn of(state: A) -> Self {
        Self { state, version: 0, stream_id: None, now: standstill(), metadata: Metadata::new() }
    }

    /// Sets what time it is from here on; midnight of 1 January 2000, UTC, unless set.
    #[must_use = "a scenario goes on with `.when(..)`"]
    pub fn at(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// Attaches a value to the commands from here on, as a caller or a middleware would.
    #[must_use = "a scenario goes on with `.when(..)`"]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Sets the version that the next command meets.
    #[must_use = "a scenario goes on with `.when(..)`"]
    pub fn version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// Has the aggregate execute a command, as a dispatch would: the command is validated, then
    /// [`Aggregate::before_execute`] is asked, then the command is executed. What it emits is applied; when
    /// it is refused, the state stays as it was.
    ///
    /// # Panics
    /// When the command does not identify an aggregate, or another one than the commands before it. A panic
    /// of user code is passed on.
    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a command is given away, as to a dispatch")]
    pub fn when<C>(mut self, command: C) -> When<A>
    where
        A: Execute<C>,
        C: Command<Aggregate = A>,
    {
        let at = Location::caller();
        let context = match self.admit(&command) {
            Ok(context) => context,
            Err(errors) => return When::invalid(self, errors, C::NAME, at),
        };
        let mut emitter = Emitter::new(&self.state);
        let decided = self
            .state
            .before_execute(&context)
            .and_then(|()| self.state.execute(&command, &mut emitter, &context));
        let emitted = emitter.finish();
        let outcome = decided.map(|()| self.keep(emitted));
        When::decided(self, outcome, C::NAME, at)
    }

    /// [`Given::when`] for a command that a [`CommandHandler`] decides on.
    ///
    /// # Panics
    /// As [`Given::when`].
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn when_handled_by<C, H>(mut self, handler: &H, command: C) -> impl Future<Output = When<A>>
    where
        C: Command<Aggregate = A>,
        H: CommandHandler<C>,
    {
        let at = Location::caller();
        let admitted = self.admit(&command);
        async move {
            let context = match admitted {
                Ok(context) => context,
                Err(errors) => return When::invalid(self, errors, C::NAME, at),
            };
            let mut emitter = Emitter::new(&self.state);
            let decided = match self.state.before_execute(&context) {
                Ok(()) => handler.handle(&self.state, &command, &mut emitter, &context).await,
                Err(error) => Err(error),
            };
            let emitted = emitter.finish();
            let outcome = decided.map(|()| self.keep(emitted));
            When::decided(self, outcome, C::NAME, at)
        }
    }

    /// Lets `check` look at the state, with the assertions of its choice.
    ///
    /// # Panics
    /// When `check` does.
    #[expect(clippy::return_self_not_must_use, reason = "an assertion may be the last step")]
    pub fn then_state(self, check: impl FnOnce(&A)) -> Self {
        check(&self.state);
        self
    }

    /// The state.
    #[must_use]
    pub fn state(&self) -> &A {
        &self.state
    }

    /// What a dispatch does before the aggregate sees the command.
    #[track_caller]
    fn admit<C: Command<Aggregate = A>>(&mut self, command: &C) -> Result<CommandContext, ValidationErrors> {
        command.validate()?;
        let stream_id = match ErasedCommand::stream_id(command) {
            Ok(stream_id) => stream_id,
            Err(error) => panic!("{} does not identify an aggregate: {error}", C::NAME),
        };
        let own = self.stream_id.get_or_insert_with(|| stream_id.clone());
        assert!(
            *own == stream_id,
            "{} is for {stream_id}, but this scenario is about {own}: one aggregate has one state",
            C::NAME,
        );
        let mut context = CommandContext::new(stream_id, self.version, self.now);
        context.metadata = self.metadata.clone();
        Ok(context)
    }

    fn keep(&mut self, (events, changed): (Vec<A::Event>, Option<A>)) -> Vec<A::Event> {
        self.version += events.len() as u64;
        if let Some(changed) = changed {
            self.state = changed;
        }
        events
    }
}

impl<A: Aggregate> fmt::Debug for Given<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Given")
            .field("aggregate", &A::NAME)
            .field("version", &self.version)
            .field("now", &self.now)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}
