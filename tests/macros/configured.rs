//! `#[cfg]`s on methods and on whole blocks carry over to what is made of them.

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Router)]
struct R;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct There;

#[derive(Command, Serialize, Deserialize)]
#[command(router = R, aggregate = A, identify_by = |_| 1)]
struct Come;

#[derive(Default, Clone)]
struct A;

#[aggregate]
#[cfg(not(any()))]
impl A {
    #[execute]
    #[cfg(not(any()))]
    fn come(&self, _: &Come) -> There {
        There
    }

    #[execute]
    #[cfg(any())]
    fn come(&self, _: &Come) -> NotThere {
        NotThere
    }

    #[execute]
    #[cfg(any())]
    fn go(&self, _: &Go) -> There {
        There
    }

    #[apply]
    fn there(&mut self, _: &There) {}

    #[apply]
    #[cfg(any())]
    fn not_there(&mut self, _: &NotThere) {}

    #[before_execute]
    #[cfg(any())]
    fn before(&self, _: &CommandContext) -> Result<(), NotThere> {}
}

#[aggregate]
#[cfg(any())]
impl NotThere {
    #[apply]
    fn there(&mut self, _: &There) {}
}

#[derive(Default)]
struct H;

#[event_handler(name = "configured", interested_in = [There, NotThere])]
impl H {
    async fn on_there(&self, _: &There) {}

    #[cfg(any())]
    async fn on_not_there(&self, _: &NotThere) {}
}

#[derive(EventSet, Clone, Debug, PartialEq)]
enum Set {
    There(There),
    #[cfg(any())]
    NotThere(NotThere),
}

#[test]
fn what_is_configured_out_is_not_there() {
    assert_eq!(<A as Aggregate>::Event::schemas().len(), 1);
    assert_eq!(<H as EventHandler>::Event::schemas().len(), 1);
    assert_eq!(Set::schemas().len(), 1);
}
