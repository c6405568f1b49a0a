//! The testing kit (feature `testing`).
//!
//! | what is tested | with |
//! |---|---|
//! | the rules of an aggregate, without store or application | [`given`], [`Given::when`], [`When::then_events`] |
//! | the rows of a projection, without log or application | [`given_log`], [`GivenLog::project`] |
//! | a running application: which events came, and which did not | [`wait_for_event`], [`assert_received`], [`refute_received`], [`assert_correlated`], [`EventProbe`] |
//! | a running application: that all its work is done | [`settle`] |
//! | what depends on the time of day | [`TestClock`] |
//! | what is published to a message broker | [`TestPublisher`] |
//! | a store adapter | [`conformance`] |
//! | what the store can do to an application | a wrapper of a store, with [`delegate_to_store!`] |
//!
//! Nothing here sleeps. A test of an application waits for the work itself, so that it is as fast as the
//! work and fails only when something is wrong; with tokio's clock paused (`#[tokio::test(start_paused =
//! true)]`) retries and timeouts take no time either. What fails, fails with a panic that shows what was
//! there instead.
//!
//! # Example
//! An account may be opened once, and whoever opens one is welcomed by an event handler:
//!
//! ```
//! # use std::sync::{Arc, OnceLock};
//! # use cqrs_core::{aggregate::*, application::*, command::*, event::*, handler::*, router::*, store::*};
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
//! # #[derive(Clone)] struct Bank(Running<Bank>);
//! # impl std::ops::Deref for Bank { type Target = Running<Bank>; fn deref(&self) -> &Running<Bank> { &self.0 } }
//! # impl Application for Bank {
//! #     const NAME: &'static str = "Bank";
//! #     type Routers = (BankRouter, ());
//! #     fn from_running(running: Running<Self>) -> Self { Self(running) }
//! # }
//! # fn open(owner: &str) -> Open { Open { account_id: "a-1".into(), owner: owner.into() } }
//! # fn opened(owner: &str) -> Opened { Opened { owner: owner.into() } }
//! use cqrs_core::testing::{EventProbe, assert_correlated, given_nothing, settle, wait_for_event};
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
//! // The application, in a `#[tokio::test]`:
//! # async fn example(store: impl Store) -> Result<(), Box<dyn std::error::Error>> {
//! let bank = Bank::builder(store).start().await?;
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
//! # Ok(())
//! # }
//! ```

pub mod conformance;

mod assertions;
mod checks;
mod clock;
mod delegate;
mod event_list;
mod given;
mod given_log;
mod probe;
mod publisher;
mod received;
mod report;
mod search;
mod settle;
mod unchecked;
mod when;

pub use assertions::{assert_correlated, assert_received, refute_received, wait_for_event};
pub use clock::TestClock;
pub use event_list::EventList;
pub use given::{Given, given, given_nothing, given_state};
pub use given_log::{GivenLog, given_log};
pub use probe::EventProbe;
pub use publisher::{TestPublishError, TestPublisher};
pub use received::ReceivedEvent;
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
