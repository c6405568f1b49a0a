//! A user who forbids and denies.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    rust_2018_idioms,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::unwrap_used
)]

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

/// An event.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(version = 2, upcast(1 => unchanged))]
pub(crate) struct Done {
    /// What.
    pub(crate) what: String,
}

fn unchanged(value: serde_json::Value) -> serde_json::Value {
    value
}

/// Another event, of quite another size.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(crate) struct DoneAgain {
    /// Numbers.
    pub(crate) numbers: [[u64; 30]; 2],
}

/// A set.
#[derive(EventSet, Clone, Debug, PartialEq)]
pub(crate) enum Set {
    /// One.
    Done(Done),
}

/// A router.
#[derive(Router, Debug)]
#[router(timeout = "5m", consistency_timeout = "60s")]
pub(crate) struct StrictRouter;

/// A command.
#[derive(Command, Serialize, Deserialize, Debug)]
#[command(router = StrictRouter, aggregate = Strict, identify_by = what, prefix = "strict", validate)]
#[command(timeout = "1h", retry_attempts = 1)]
pub(crate) struct Do {
    /// What.
    pub(crate) what: String,
}

impl Do {
    fn validate(&self) -> Result<(), ValidationErrors> {
        ValidationErrors::new().check(!self.what.is_empty(), "what", "must not be empty").into_result()
    }
}

/// A command with a handler.
#[derive(Command, Serialize, Deserialize, Debug)]
#[command(router = StrictRouter, aggregate = Strict, identify_by = what, handler = Handler)]
pub(crate) struct Handle {
    /// What.
    pub(crate) what: String,
}

/// An aggregate.
#[derive(Default, Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Strict {
    done: Vec<String>,
}

#[aggregate(snapshot_on_passivation)]
impl Strict {
    #[execute]
    fn decide(&self, command: &Do, context: &CommandContext) -> Option<Done> {
        let new = !self.done.contains(&command.what) && context.attempt > 0;
        new.then(|| Done { what: command.what.clone() })
    }

    #[apply]
    fn done(&mut self, event: &Done) {
        self.done.push(event.what.clone());
    }

    #[apply]
    fn again(&mut self, event: &DoneAgain) {
        self.done.push(event.numbers.len().to_string());
    }
}

/// A handler.
#[derive(Default, Debug)]
pub(crate) struct Handler {
    what: String,
}

#[command_handler]
impl Handler {
    #[execute]
    async fn decide(&self, state: &Strict, command: &Handle) -> Result<Vec<Done>, std::convert::Infallible> {
        tokio::task::yield_now().await;
        Ok(vec![Done { what: format!("{}{}{}", self.what, state.done.len(), command.what) }])
    }
}

#[event_handler(name = "strict", interested_in = [Done, DoneAgain])]
impl Handler {
    async fn on_done(&self, event: &Done, _: &EventContext) -> Result<(), std::fmt::Error> {
        tokio::task::yield_now().await;
        if event.what == self.what { Err(std::fmt::Error) } else { Ok(()) }
    }

    async fn again(&self, event: &DoneAgain) {
        let _ = (event, &self.what);
        tokio::task::yield_now().await;
    }
}

/// Counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    rows: MemoryRows<u8, usize>,
}

#[projection(name = "counts", events = Set)]
impl Counts {
    fn rows(&self) -> &MemoryRows<u8, usize> {
        &self.rows
    }

    async fn on_batch(
        &self,
        events: &[Projected<Set>],
        rows: &mut RowsMut<u8, usize>,
    ) -> Result<(), std::fmt::Error> {
        *rows.row(0) += events.len();
        tokio::task::yield_now().await;
        Ok(())
    }
}

application! {
    /// An application.
    pub(crate) struct App {
        routers: [StrictRouter],
        event_handlers: [Handler],
        projections: [Counts],
        middleware: [cqrs::middleware::RequestLog],
        retry_attempts: 2,
    }
}

#[tokio::test]
async fn it_works_all_the_same() {
    let app = App::builder(MemoryStore::new()).start().await.expect("it starts");
    let receipt = app.dispatch(Do { what: "this".into() }).await.expect("it is done");
    assert_eq!(receipt.events().len(), 1);
    let receipt = app.dispatch(Handle { what: "that".into() }).await.expect("it is done");
    assert_eq!(receipt.events(), [Done { what: "0that".into() }.into()]);
    assert_eq!(Set::from(Done { what: String::new() }).schema().name, "Done");
    app.shutdown().await;
}
