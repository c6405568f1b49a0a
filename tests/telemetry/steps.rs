//! What is told of the steps of process managers.

use std::collections::BTreeMap;

use cqrs::prelude::*;
use cqrs::testing::settle;
use serde::{Deserialize, Serialize};

use crate::domain::{Answered, Books, Noted, OnPurpose, note};
use crate::recorder::{heard_of, listen};

/// What has no JSON form once there is something in it.
type Pairs = BTreeMap<(u8, u8), u8>;

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Desk, aggregate = Slip, identify_by = |_| 1)]
pub struct Send(pub Pairs);

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Slip;

#[aggregate]
impl Slip {
    #[execute]
    fn send(&self, _command: &Send) {}

    #[apply]
    fn answered(&mut self, _event: &Answered) {}
}

#[derive(Router)]
pub struct Desk;

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Clerk {
    pairs: Pairs,
}

#[process_manager(name = "clerk", interested_in = [Noted], by = book, error = OnPurpose)]
impl Clerk {
    #[on(start_or_continue)]
    fn noted(&mut self, event: &Noted, process: &mut Process) -> Result<(), OnPurpose> {
        let pairs = Pairs::from([((1, 2), 3)]);
        match event.text.split(' ').next() {
            Some("send") => drop(process.send(Send(pairs))),
            Some("keep") => self.pairs = pairs,
            Some("fail") => return Err(OnPurpose),
            _ => {}
        }
        Ok(())
    }

    fn on_error(&mut self, _failure: &ProcessFailure<OnPurpose>, _process: &mut Process) -> ProcessAction {
        ProcessAction::Skip
    }
}

application! {
    pub struct Office {
        routers: [Books, Desk],
        process_managers: [Clerk],
    }
}

/// L-031: a step is done when what it came to can be written down.
#[tokio::test(start_paused = true)]
async fn a_step_has_failed_when_what_it_came_to_cannot_be_written() {
    listen();
    let office = Office::builder(MemoryStore::new()).name("office").start().await.unwrap();
    for what in ["well", "fail", "send", "keep"] {
        office.dispatch(note("b-1", what)).await.unwrap();
    }
    settle(&office).await;
    office.shutdown().await;
    let heard = heard_of("office");
    let steps = heard.iter().filter(|heard| heard.is_span_of("step", "cqrs.handler", "clerk"));
    let told: Vec<_> = steps.map(|step| (step.value("error.type"), step.value("otel.status_code"))).collect();
    let error = |error_type| (Some(error_type), Some("ERROR"));
    assert_eq!(told, [(None, None), error("failed"), error("unsendable"), error("unwritable")]);
}
