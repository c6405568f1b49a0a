//! The testing kit (feature `testing`).
//!
//! | what is tested | with |
//! |---|---|
//! | the rules of an aggregate, without store or application | [`given`], [`Given::when`], [`When::then_events`] |
//! | the rows of a projection, without log or application | [`given_log`], [`GivenLog::project`] |
//! | what an event handler does with an event, and what a failure leads to | [`given_log`], [`GivenLog::handle`] |
//! | commands, deadlines and states of a process manager | [`given_log`], [`GivenLog::process`], [`WhenProcess::then_commands`] |
//! | a running application: which events came, and which did not | [`wait_for_event`], [`assert_received`], [`refute_received`], [`assert_correlated`], [`EventProbe`] |
//! | a running application: that all its work is done | [`settle`] |
//! | a running application: that a handler bears to get events again | [`redeliver_last`], [`redeliver_from`] |
//! | what depends on the time of day, deadlines and schedules | [`TestClock`] |
//! | what is published to a message broker | [`TestPublisher`] |
//! | a store adapter, a store of rows | [`conformance`] |
//! | what the store can do to an application | a wrapper of a store, with [`delegate_to_store!`] |
//!
//! Nothing here sleeps. A test of an application waits for the work itself, so that it is as fast as the
//! work and fails only when something is wrong; with tokio's clock paused (`#[tokio::test(start_paused =
//! true)]`) retries and timeouts take no time either. What fails, fails with a panic that shows what was
//! there instead.
//!
//! # A tour
//! An account may be opened once, and whoever opens one is welcomed by an event handler. A month later a process manager
//! opens a savings account for them:
//!
//! ```
//! # use std::time::Duration;
//! # use cqrs_core::{aggregate::*, application::*, command::*, event::*, handler::*, process_manager::*, router::*, store::*};
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)] struct Opened { owner: String }
//! # impl Event for Opened { const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1); }
//! # cqrs_core::event::event_set_of_one!(Opened);
//! # #[derive(Serialize, Deserialize, Clone, Debug, PartialEq)] struct Welcomed;
//! # impl Event for Welcomed { const SCHEMA: &'static EventSchema = &EventSchema::new("Welcomed", 1); }
//! # cqrs_core::event::event_set_of_one!(Welcomed);
//! # #[derive(Debug, PartialEq)] struct AlreadyOpen;
//! # impl std::fmt::Display for AlreadyOpen { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("already open") } }
//! # impl std::error::Error for AlreadyOpen {}
//! # #[derive(Default, Clone)] struct Account { open: bool }
//! # impl Aggregate for Account {
//! #     type Event = Opened;
//! #     type Error = AlreadyOpen;
//! #     const NAME: &'static str = "Account";
//! #     const STREAM_PREFIX: &'static str = "account";
//! #     fn apply(&mut self, _: &Opened) { self.open = true; }
//! # }
//! # struct BankRouter;
//! # impl Router for BankRouter { const NAME: &'static str = "BankRouter"; type Includes = (); }
//! # #[derive(Serialize, Deserialize)] struct Open { account_id: String, owner: String }
//! # impl Command for Open {
//! #     type Router = BankRouter;
//! #     type Aggregate = Account;
//! #     type Handler = Direct;
//! #     const NAME: &'static str = "Open";
//! #     fn identity(&self) -> impl std::fmt::Display { &self.account_id }
//! #     fn validate(&self) -> Result<(), ValidationErrors> {
//! #         ValidationErrors::new().check(!self.owner.is_empty(), "owner", "must not be empty").into_result()
//! #     }
//! # }
//! # cqrs_core::command::register_command!(Open);
//! # impl Execute<Open> for Account {
//! #     fn execute(&self, command: &Open, emitter: &mut Emitter<'_, Self>, _: &CommandContext) -> Result<(), AlreadyOpen> {
//! #         if self.open { return Err(AlreadyOpen); }
//! #         emitter.emit(Opened { owner: command.owner.clone() });
//! #         Ok(())
//! #     }
//! # }
//! # struct WelcomeEmail;
//! # impl EventHandler for WelcomeEmail {
//! #     const NAME: &'static str = "welcome-email";
//! #     type Event = Opened;
//! #     type State = ();
//! #     type Error = std::fmt::Error;
//! #     async fn handle(&self, event: Opened, _: &mut (), _: &EventContext) -> Result<(), std::fmt::Error> {
//! #         if event.owner == "Nobody" { Err(std::fmt::Error) } else { Ok(()) }
//! #     }
//! #     async fn on_error(&self, _: &HandlerFailure<std::fmt::Error>) -> ErrorAction { ErrorAction::Skip }
//! # }
//! # #[derive(Default, Clone, Serialize, Deserialize)] struct Savings { owner: String }
//! # impl ProcessManager for Savings {
//! #     const NAME: &'static str = "savings";
//! #     type Event = Opened;
//! #     type Error = std::convert::Infallible;
//! #     fn interest(event: &Opened, _: &EventContext) -> Interest { Interest::start([&event.owner]) }
//! #     async fn handle(&mut self, event: Opened, process: &mut Process) -> Result<(), Self::Error> {
//! #         self.owner = event.owner;
//! #         process.deadline_in("a month", Duration::from_secs(30 * 86_400));
//! #         Ok(())
//! #     }
//! #     async fn on_deadline(&mut self, _: &str, process: &mut Process) -> Result<(), Self::Error> {
//! #         process.send(open_savings(&self.owner));
//! #         Ok(())
//! #     }
//! # }
//! # fn open_savings(owner: &str) -> Open { Open { account_id: "a-2".into(), owner: owner.into() } }
//! # #[derive(Clone)] struct Bank(Running<Bank>);
//! # impl std::ops::Deref for Bank { type Target = Running<Bank>; fn deref(&self) -> &Running<Bank> { &self.0 } }
//! # impl Application for Bank {
//! #     const NAME: &'static str = "Bank";
//! #     type Routers = (BankRouter, ());
//! #     fn from_running(running: Running<Self>) -> Self { Self(running) }
//! # }
//! # fn open(owner: &str) -> Open { Open { account_id: "a-1".into(), owner: owner.into() } }
//! # fn opened(owner: &str) -> Opened { Opened { owner: owner.into() } }
//! use cqrs_core::testing::{
//!     EventProbe, TestClock, assert_correlated, given_log, given_nothing, redeliver_last, settle, wait_for_event,
//! };
//!
//! // The rules, in a plain `#[test]`:
//! given_nothing::<Account>()
//!     .when(open(""))
//!     .then_invalid(["owner"])
//!     .when(open("Ada"))
//!     .then_events([opened("Ada")])
//!     .then_state(|account| assert!(account.open))
//!     .when(open("Eve"))
//!     .then_error(AlreadyOpen);
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! // A handler and an event, in a `#[tokio::test]`, as all that follows:
//! let given = given_log().events("account-a-1", [opened("Nobody")]);
//! let failed = given.handle(&WelcomeEmail).await.unwrap_err();
//! assert_eq!(failed.action, ErrorAction::Skip);
//!
//! // A process manager: events, commands that are refused, time that passes.
//! given_log()
//!     .events("account-a-1", [opened("Ada")])
//!     .process::<Savings>("Ada")
//!     .await
//!     .when_event("account-a-1", opened("Ada"))
//!     .await
//!     .then_passed_by()
//!     .when_due("a month")
//!     .await
//!     .then_commands([open_savings("Ada")])
//!     .when_refused(AlreadyOpen)
//!     .await
//!     .then_action(ProcessAction::Park)
//!     .then_state(|savings| assert_eq!(savings.owner, "Ada"));
//! # });
//!
//! // The application, on a clock that stands still:
//! # async fn example(store: impl Store) -> Result<(), Box<dyn std::error::Error>> {
//! let clock = TestClock::new();
//! let bank = Bank::builder(store).clock(clock.clone()).start().await?;
//! bank.dispatch(open("Ada")).await?;
//! wait_for_event::<Welcomed>(&bank, |_, recorded| recorded.stream_id.identity() == "a-1").await;
//! assert_correlated::<Opened, Welcomed>(&bank, |opened, _| opened.owner == "Ada", |_, _| true).await;
//!
//! // What is refused has no consequences, however long one waits:
//! let probe = EventProbe::new(&bank).await?;
//! bank.dispatch(open("Eve")).await.unwrap_err();
//! probe.refute::<Welcomed>(|_, _| true).await;
//!
//! // Whatever handlers do with files, mails and read models is done:
//! settle(&bank).await;
//!
//! // As after a crash: who is idempotent leaves the world as it was.
//! redeliver_last(&bank, WelcomeEmail::NAME, 1).await;
//!
//! // Deadlines and schedules come when the clock is moved:
//! clock.advance(Duration::from_secs(31 * 86_400));
//! wait_for_event::<Opened>(&bank, |_, recorded| recorded.stream_id.identity() == "a-2").await;
//! # Ok(())
//! # }
//! ```

pub mod conformance;

mod assertions;
mod checks;
mod clock;
mod command_list;
mod delegate;
mod event_list;
mod given;
mod given_log;
mod handle;
mod probe;
mod process;
mod publisher;
mod received;
mod redeliver;
mod report;
mod scene;
mod search;
mod settle;
mod unchecked;
mod when;

pub use assertions::{assert_correlated, assert_received, refute_received, wait_for_event};
pub use clock::TestClock;
pub use command_list::{CommandList, ListedCommand};
pub use event_list::EventList;
pub use given::{Given, given, given_nothing, given_state};
pub use given_log::{GivenLog, given_log};
pub use handle::NotHandled;
pub use probe::EventProbe;
pub use process::{GivenProcess, WhenProcess};
pub use publisher::{TestPublishError, TestPublisher};
pub use received::ReceivedEvent;
pub use redeliver::{redeliver_from, redeliver_last};
pub use settle::{Settle, SettleError, settle};
pub use when::When;

#[doc(inline)]
pub use crate::delegate_to_store;

/// What the macros of the kit name.
#[doc(hidden)]
pub use {
    async_trait::async_trait,
    chrono::{DateTime, Utc},
    tokio::sync::watch::Receiver,
};

#[cfg(test)]
mod tests;
