//! A lamp behind two layers of the application and one of the router, each of which can be told what to do.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use cqrs::middleware::Middleware;
use cqrs::prelude::*;
use cqrs::store::Store;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "lamp.Switched")]
pub struct Switched {
    pub on: bool,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = LampRouter, aggregate = Lamp, identify_by = id)]
pub struct Switch {
    pub id: String,
    pub on: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("it is so already")]
pub struct SoAlready;

#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct Lamp {
    pub on: bool,
}

#[aggregate(stream_prefix = "lamp", error = SoAlready)]
impl Lamp {
    #[execute]
    fn switch(&self, command: &Switch) -> Result<Switched, SoAlready> {
        let on = command.on;
        if on == self.on {
            return Err(SoAlready);
        }
        Ok(Switched { on })
    }

    #[apply]
    fn switched(&mut self, event: &Switched) {
        self.on = event.on;
    }
}

/// What happened, in order.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Vec<String>>>);

impl Record {
    pub fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().push(text.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// What a layer does in `before_dispatch`, beside taking a note.
#[derive(Clone, Default)]
pub enum Before {
    #[default]
    Pass,
    Refuse,
    Respond,
    Panic,
    /// Does what the function says to the context.
    Change(fn(&mut DispatchContext)),
}

/// What a layer does, beside taking notes.
#[derive(Clone, Default)]
pub struct Plan {
    pub before: Before,
    pub panic_after: bool,
}

/// The answer of a layer that answers by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer(pub &'static str);

macro_rules! layers {
    ($($layer:ident),*) => {
        $(
            #[derive(Default)]
            pub struct $layer(pub Record, pub Plan);

            impl Middleware for $layer {
                async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
                    self.0.note(concat!(stringify!($layer), " before"));
                    match self.1.before {
                        Before::Pass => {}
                        Before::Refuse => return Err(Halt::refuse("not today")),
                        Before::Respond => return Err(Halt::respond(context, Answer(stringify!($layer)))),
                        Before::Panic => panic!("before"),
                        Before::Change(change) => change(context),
                    }
                    Ok(())
                }

                async fn after_dispatch(&self, _context: &mut DispatchContext, outcome: &DispatchOutcome) {
                    self.0.note(format!(concat!(stringify!($layer), " after v{}"), outcome.version));
                    assert!(!self.1.panic_after, "after");
                }

                async fn after_failure(&self, _context: &mut DispatchContext, failure: &DispatchFailure<'_>) {
                    self.0.note(format!(concat!(stringify!($layer), " failed {:?}"), failure.kind));
                    assert!(!self.1.panic_after, "after");
                }
            }
        )*
    };
}

layers!(Outer, Middle, Inner);

/// Notes that the event has been handled.
#[derive(Default)]
pub struct Bystander(pub Record);

#[event_handler(name = "bystander", interested_in = [Switched], consistency = strong)]
impl Bystander {
    async fn on_switched(&self, _event: &Switched) -> Result<(), Infallible> {
        self.0.note("handled");
        Ok(())
    }
}

#[derive(Router)]
#[router(middleware = [Inner])]
pub struct LampRouter;

application! {
    pub struct Lamps {
        routers: [LampRouter],
        event_handlers: [Bystander],
        middleware: [Outer, Middle],
    }
}

/// The application with plans for its layers, outermost first, and the record of what happens.
pub async fn lamps(store: impl Store, [outer, middle, inner]: [Plan; 3]) -> (Lamps, Record) {
    let record = Record::default();
    let lamps = Lamps::builder(store)
        .middleware(Outer(record.clone(), outer))
        .middleware(Middle(record.clone(), middle))
        .middleware(Inner(record.clone(), inner))
        .event_handler(Bystander(record.clone()))
        .start()
        .await
        .unwrap();
    (lamps, record)
}

pub fn plan(before: Before) -> Plan {
    Plan { before, panic_after: false }
}

pub fn switch(on: bool) -> Switch {
    let id = "1".to_owned();
    Switch { id, on }
}
