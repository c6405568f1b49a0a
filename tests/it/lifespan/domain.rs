//! A guest whose events, commands and errors say how long it stays.

use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::aggregate::AggregateLifespan;
use cqrs::application::Config;
use cqrs::command::AnyCommand;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

/// The answer of a lifespan, on the wire.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    Seconds(u64),
    Forever,
    Stop,
    /// Longer than time can tell.
    TooLong,
    /// The lifespan panics.
    Panic,
}

impl Stay {
    fn lifespan(self) -> Lifespan {
        match self {
            Self::Seconds(seconds) => Lifespan::KeepFor(Duration::from_secs(seconds)),
            Self::Forever => Lifespan::Forever,
            Self::Stop => Lifespan::Stop,
            Self::TooLong => Lifespan::KeepFor(Duration::MAX),
            Self::Panic => panic!("a lifespan panics"),
        }
    }
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "guest.Visited")]
pub struct Visited(pub Stay);

#[derive(Debug, thiserror::Error)]
#[error("no room")]
pub struct NoRoom(pub Stay);

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = GuestRouter, aggregate = Guest, identify_by = |_| "1")]
pub struct Visit {
    /// An event each.
    pub events: Vec<Stay>,
    pub command: Stay,
    /// A refusal.
    pub error: Option<Stay>,
}

#[derive(Default, Clone, Debug)]
pub struct Guest {
    pub visits: u32,
}

#[aggregate(stream_prefix = "guest", error = NoRoom, lifespan = AsTold)]
impl Guest {
    #[execute]
    fn visit(&self, command: &Visit) -> Result<Vec<Visited>, NoRoom> {
        match command.error {
            Some(stay) => Err(NoRoom(stay)),
            None => Ok(command.events.iter().copied().map(Visited).collect()),
        }
    }

    #[apply]
    fn visited(&mut self, _event: &Visited) {
        self.visits += 1;
    }
}

pub struct AsTold;

impl AggregateLifespan<Guest> for AsTold {
    fn after_event(event: &GuestEvent) -> Lifespan {
        let GuestEvent::Visited(event) = event;
        event.0.lifespan()
    }

    fn after_command(command: &AnyCommand) -> Lifespan {
        command.downcast_ref::<Visit>().unwrap().command.lifespan()
    }

    fn after_error(error: &NoRoom) -> Lifespan {
        error.0.lifespan()
    }
}

#[derive(Router)]
pub struct GuestRouter;

application! {
    pub struct Hotel {
        routers: [GuestRouter],
    }
}

pub async fn hotel() -> Hotel {
    // Looking at the memory every few seconds for years would take its time, also where that is paused.
    Hotel::builder(MemoryStore::new()).config(Config::new().ignore_memory()).start().await.unwrap()
}

/// With these events; what is not to be asked says the opposite of what is expected.
pub fn events(events: &[Stay]) -> Visit {
    Visit { events: events.to_vec(), command: Stay::Stop, error: None }
}

pub fn command(command: Stay) -> Visit {
    Visit { events: Vec::new(), command, error: None }
}

pub fn refused(error: Stay) -> Visit {
    Visit { events: vec![Stay::Stop], command: Stay::Stop, error: Some(error) }
}

/// Lets so many seconds of paused time go by.
pub async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
