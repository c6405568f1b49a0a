//! A hasty aggregate: room for one waiting command, and gone as soon as nobody waits.

use std::collections::HashMap;

use cqrs::MemoryStore;
use cqrs::aggregate::AggregateLifespan;
use cqrs::prelude::*;
use cqrs::store::RecordedEvent;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "race.Ran")]
pub struct Ran {
    pub number: u32,
}

macro_rules! runners {
    ($($module:ident { $($option:tt)* })*) => {
        $(
            pub mod $module {
                use cqrs::prelude::*;
                use serde::{Deserialize, Serialize};

                #[derive(Command, Serialize, Deserialize, Clone, Debug)]
                #[command(router = RaceRouter, aggregate = Runner, identify_by = id)]
                pub struct Run {
                    pub id: u32,
                    pub number: u32,
                }

                #[derive(Default, Clone, Debug)]
                pub struct Runner {
                    pub last: Option<u32>,
                }

                #[aggregate(stream_prefix = "runner", $($option)*)]
                impl Runner {
                    #[execute]
                    fn run(&self, command: &Run) -> super::Ran {
                        super::Ran { number: command.number }
                    }

                    #[apply]
                    fn ran(&mut self, event: &super::Ran) {
                        self.last = Some(event.number);
                    }
                }

                #[derive(Router)]
                pub struct RaceRouter;

                application! {
                    pub struct Race {
                        routers: [RaceRouter],
                        timeout: "30s",
                    }
                }
            }
        )*
    };
}

runners! {
    plain {}
    narrow { mailbox = 1 }
    fleeting { lifespan = super::Gone }
    narrow_and_fleeting { mailbox = 1, lifespan = super::Gone }
}

pub struct Gone;

impl<A: Aggregate> AggregateLifespan<A> for Gone {
    fn after_event(_event: &A::Event) -> Lifespan {
        Lifespan::Stop
    }
}

/// The number that an event carries.
pub fn number_of(event: &RecordedEvent) -> u32 {
    let ran: Ran = serde_json::from_slice(&event.data).unwrap();
    ran.number
}

/// How often each number was stored, with the version it has.
pub async fn stored(store: &MemoryStore) -> HashMap<u32, Vec<u64>> {
    let mut stored: HashMap<u32, Vec<u64>> = HashMap::new();
    for event in crate::support::log::sound_log(store).await {
        stored.entry(number_of(&event)).or_default().push(event.stream_version);
    }
    stored
}

/// Every number from 0 must be stored once, at the version that its caller was told.
pub async fn check_told(store: &MemoryStore, told: Vec<(u32, u64)>) {
    let count = told.len();
    let stored = stored(store).await;
    for (number, version) in told {
        assert_eq!(stored[&number], [version], "number {number}");
    }
    assert_eq!(stored.len(), count);
}
