use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::clock::Clock as _;
use crate::dispatch::{DispatchError, Rejection};
use crate::error_text::error_text;
use crate::event::EventSet;
use crate::process_manager::{Instance, Pending, ProcessAction, ProcessManager, SentCommand, Timer};
use crate::testing::process::course::Outcome;
use crate::testing::scene::Scene;
use crate::testing::{GivenLog, TestClock, WhenProcess};

/// An instance of a process manager as its events made it, ready for whatever comes next: the beginning of a scenario,
/// and what follows each of its assertions.
///
/// See [`GivenLog::process`].
pub struct GivenProcess<P: ProcessManager> {
    pub(super) id: Arc<str>,
    pub(super) instance: Option<Box<Instance<P>>>,
    pub(super) timers: BTreeMap<String, Timer>,
    /// The commands that nothing is known of yet, in their order.
    pub(super) waiting: VecDeque<Pending>,
    /// Those that the last step has sent.
    pub(super) sent: Vec<SentCommand>,
    /// What was decided when the last step failed.
    pub(super) decided: Option<ProcessAction>,
    /// When the instance was written last.
    pub(super) changed_at: DateTime<Utc>,
    pub(super) attempt: Option<u32>,
    pub(super) log: GivenLog,
    pub(super) clock: TestClock,
    pub(super) scene: Scene,
}

impl GivenLog {
    /// Begins a scenario of an instance of a process manager: given these events, in this order. Those that do not lead to
    /// the instance pass it by.
    ///
    /// Then things happen to it: an event comes ([`GivenProcess::when_event`]), a command is carried out or refused
    /// ([`GivenProcess::when_carried_out`], [`GivenProcess::when_refused`]), time passes
    /// ([`GivenProcess::when_time_passes`], [`GivenProcess::when_due`]). What it has sent is not dispatched: the commands
    /// wait, in their order, until the scenario says what came of them.
    ///
    /// There is no application: [`Process::app`](crate::process_manager::Process::app) gives `None`.
    ///
    /// ```
    /// # use cqrs_core::{aggregate::*, command::*, event::*, process_manager::*, router::*};
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)] struct Ordered { order: String }
    /// # impl Event for Ordered { const SCHEMA: &'static EventSchema = &EventSchema::new("Ordered", 1); }
    /// # cqrs_core::event::event_set_of_one!(Ordered);
    /// # #[derive(Default, Clone)] struct Shop;
    /// # impl Aggregate for Shop {
    /// #     type Event = Ordered;
    /// #     type Error = std::convert::Infallible;
    /// #     const NAME: &'static str = "Shop";
    /// #     const STREAM_PREFIX: &'static str = "shop";
    /// #     fn apply(&mut self, _: &Ordered) {}
    /// # }
    /// # struct ShopRouter;
    /// # impl Router for ShopRouter { const NAME: &'static str = "ShopRouter"; type Includes = (); }
    /// # #[derive(Serialize, Deserialize)] struct Charge { order: String }
    /// # impl Command for Charge {
    /// #     type Router = ShopRouter;
    /// #     type Aggregate = Shop;
    /// #     type Handler = Direct;
    /// #     const NAME: &'static str = "Charge";
    /// #     fn identity(&self) -> impl std::fmt::Display { &self.order }
    /// # }
    /// # impl Execute<Charge> for Shop {
    /// #     fn execute(&self, _: &Charge, _: &mut Emitter<'_, Self>, _: &CommandContext) -> Result<(), Self::Error> { Ok(()) }
    /// # }
    /// # #[derive(Default, Clone, Serialize, Deserialize)] struct Fulfilment { is_late: bool }
    /// # impl ProcessManager for Fulfilment {
    /// #     const NAME: &'static str = "fulfilment";
    /// #     type Event = Ordered;
    /// #     type Error = std::convert::Infallible;
    /// #     fn interest(event: &Ordered, _: &EventContext) -> Interest { Interest::start([&event.order]) }
    /// #     async fn handle(&mut self, event: Ordered, process: &mut Process) -> Result<(), Self::Error> {
    /// #         process.send(Charge { order: event.order });
    /// #         process.deadline_in("payment", Duration::from_secs(3_600));
    /// #         Ok(())
    /// #     }
    /// #     async fn on_deadline(&mut self, _: &str, _: &mut Process) -> Result<(), Self::Error> { self.is_late = true; Ok(()) }
    /// # }
    /// # fn ordered() -> Ordered { Ordered { order: "o-1".into() } }
    /// # fn charge() -> Charge { Charge { order: "o-1".into() } }
    /// # #[derive(Debug, thiserror::Error)] #[error("no funds")] struct NoFunds;
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use cqrs_core::process_manager::ProcessAction;
    /// use cqrs_core::testing::given_log;
    ///
    /// given_log()
    ///     .process::<Fulfilment>("o-1")
    ///     .await
    ///     .when_event("shop-o-1", ordered())
    ///     .await
    ///     .then_commands([charge()])
    ///     .then_deadline_in("payment", Duration::from_secs(3_600))
    ///     .when_due("payment")
    ///     .await
    ///     .then_no_commands()
    ///     .then_state(|fulfilment| assert!(fulfilment.is_late))
    ///     .when_refused(NoFunds)
    ///     .await
    ///     .then_action(ProcessAction::Park);
    /// # });
    /// ```
    ///
    /// Something of which nothing is asserted fails the test.
    ///
    /// # Panics
    /// When one of the events fails. A panic of [`ProcessManager::interest`] is passed on.
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn process<P: ProcessManager>(
        self,
        instance: impl Into<String>,
    ) -> impl Future<Output = GivenProcess<P>> {
        let at = Location::caller();
        let id: String = instance.into();
        async move {
            let events = self.events.clone();
            let mut given = GivenProcess::new(id.into(), self);
            for event in events {
                given.clock.set(event.created_at);
                let (event_type, position) = (event.event_type.clone(), event.position);
                if let Outcome::Failed { error, .. } = given.deliver(event).await {
                    let error = error_text(&error);
                    panic!("{at}: {event_type} at position {position} failed in {:?}: {error}", P::NAME);
                }
            }
            given.clock.set(given.log.now);
            given.begin();
            given
        }
    }
}

impl<P: ProcessManager> GivenProcess<P> {
    fn new(id: Arc<str>, log: GivenLog) -> Self {
        Self {
            id,
            instance: None,
            timers: BTreeMap::new(),
            waiting: VecDeque::new(),
            sent: Vec::new(),
            decided: None,
            changed_at: log.now,
            attempt: None,
            clock: TestClock::at(log.now),
            log,
            scene: Scene::of(P::NAME),
        }
    }

    /// Attaches a value to the events from here on.
    #[must_use = "a scenario goes on with `.when_event(..)`"]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.log = self.log.metadata(name, value);
        self
    }

    /// Sets which attempt the next step is. Unless set it is the first one, of a command the one behind those that were
    /// refused before.
    #[must_use = "a scenario goes on with `.when_event(..)`"]
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = Some(attempt);
        self
    }

    /// All commands that wait are carried out, in their order, and whatever comes of that is given, too.
    ///
    /// # Panics
    /// When [`ProcessManager::after_command`] fails.
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn carried_out(mut self) -> impl Future<Output = Self> {
        let at = Location::caller();
        async move {
            for _ in 0..self.waiting.len() {
                if let Outcome::Failed { error, .. } = self.carry_out().await {
                    panic!("{at}: after_command failed in {:?}: {}", P::NAME, error_text(&error));
                }
            }
            self.begin();
            self
        }
    }

    /// An event of a stream comes, now.
    ///
    /// An event that fails is not tried again: [`GivenProcess::attempt`] says which attempt it is.
    ///
    /// # Panics
    /// When the stream has an invalid name, or the event cannot be encoded. A panic of [`ProcessManager::interest`] is
    /// passed on.
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn when_event<E: EventSet>(mut self, stream: &str, event: E) -> impl Future<Output = WhenProcess<P>> {
        let at = Location::caller();
        let name = event.schema().name;
        self.begin();
        self.log = self.log.at(self.clock.now()).events(stream, [event]);
        let recorded = self.log.events.last().cloned().expect("an event was added");
        async move {
            let outcome = self.deliver(recorded).await;
            WhenProcess::new(self, outcome, name, at)
        }
    }

    /// The first command that waits is carried out.
    ///
    /// # Panics
    /// When no command waits.
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn when_carried_out(mut self) -> impl Future<Output = WhenProcess<P>> {
        let at = Location::caller();
        self.begin();
        self.check_waiting();
        async move {
            let outcome = self.carry_out().await;
            WhenProcess::new(self, outcome, "a command that was carried out", at)
        }
    }

    /// The first command that waits is refused by its aggregate with this error. Those behind it have not been sent.
    ///
    /// A command that is to be tried again goes on waiting, as the first one.
    ///
    /// # Panics
    /// When no command waits.
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn when_refused<E>(self, error: E) -> impl Future<Output = WhenProcess<P>>
    where
        E: Error + Send + Sync + 'static,
    {
        self.when_failed(DispatchError::Rejected(Rejection::new(error)))
    }

    /// The first command that waits fails in another way than [`GivenProcess::when_refused`].
    ///
    /// While the store is to blame it goes on waiting, and the process manager does not hear of it:
    /// [`DispatchError::Store`], [`DispatchError::OutcomeUnknown`], [`DispatchError::NotRunning`], and
    /// [`DispatchError::NotProjected`] by rows that are not ready.
    ///
    /// # Panics
    /// When no command waits.
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn when_failed(mut self, error: DispatchError<Rejection>) -> impl Future<Output = WhenProcess<P>> {
        let at = Location::caller();
        self.begin();
        self.check_waiting();
        async move {
            let outcome = self.refuse(error).await;
            WhenProcess::new(self, outcome, "a command that failed", at)
        }
    }

    /// Time passes: deadlines, scheduled commands and idle timeouts come one after the other, each at its time, also
    /// those that are set meanwhile. When one fails, time stands still there.
    ///
    /// # Panics
    /// When more than 10,000 come.
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn when_time_passes(mut self, time: Duration) -> impl Future<Output = WhenProcess<P>> {
        let at = Location::caller();
        self.begin();
        let end = TestClock::at(self.clock.now());
        end.advance(time);
        async move {
            let outcome = self.pass_time(end.now(), at).await;
            WhenProcess::new(self, outcome, "time that passed", at)
        }
    }

    /// Time passes until the deadline or scheduled command of this name is due, as [`GivenProcess::when_time_passes`]
    /// has it.
    ///
    /// # Panics
    /// When there is none of that name, or more than 10,000 others come before.
    ///
    /// # Cancel safety
    /// Nothing remains of the scenario when the future is dropped.
    #[track_caller]
    pub fn when_due(mut self, name: &str) -> impl Future<Output = WhenProcess<P>> {
        let at = Location::caller();
        self.begin();
        let due_at = match self.timers.get(name) {
            Some(timer) => timer.due_at,
            None => panic!("nothing is to come as {name:?}; {}", self.show_timers()),
        };
        async move {
            let outcome = self.pass_time(due_at.max(self.clock.now()), at).await;
            WhenProcess::new(self, outcome, "a deadline", at)
        }
    }

    /// A step begins.
    fn begin(&mut self) {
        self.sent.clear();
        self.decided = None;
    }

    #[track_caller]
    fn check_waiting(&self) {
        assert!(!self.waiting.is_empty(), "no command of instance {:?} waits to be carried out", self.id);
    }
}

impl<P: ProcessManager> fmt::Debug for GivenProcess<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GivenProcess")
            .field("process_manager", &P::NAME)
            .field("instance", &self.id)
            .field("is_there", &self.instance.is_some())
            .field("waiting", &self.waiting)
            .field("now", &self.clock.now())
            .finish_non_exhaustive()
    }
}
