//! What these tests share: nodes, and clocks for their stores.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::clock::Clock;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::store::Store;
use cqrs::testing::TestClock;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub use crate::applications::faulty_store::{Call, Fault, FaultyStore};
pub use crate::handlers::domain::*;

/// How long a lease lasts unless set.
pub const TTL: Duration = Duration::from_secs(15);

/// How often a passive node asks for a lease unless set.
pub const RETRY: Duration = Duration::from_secs(1);

/// A clock that goes with tokio's, so that leases in a store run out in paused time.
#[derive(Debug)]
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.0.elapsed()
    }
}

/// A store whose time is the test's.
pub fn store_in_virtual_time() -> MemoryStore {
    MemoryStore::builder().clock(Arc::new(VirtualClock(Instant::now()))).build()
}

/// A store whose time stands still until the test moves it: leases run out then and at no other time.
pub fn store_with_clock() -> (MemoryStore, TestClock) {
    let clock = TestClock::new();
    (MemoryStore::builder().clock(Arc::new(clock.clone())).build(), clock)
}

/// A node of the desk, on a store of its own or on one way to it.
pub async fn node(name: &str, store: impl Store, handler: impl EventHandler) -> Desk {
    Desk::builder(store).node(name).event_handler(handler).start().await.unwrap()
}

/// As [`node`], with a config.
pub async fn node_with(config: Config, name: &str, store: impl Store, handler: impl EventHandler) -> Desk {
    Desk::builder(store).node(name).config(config).event_handler(handler).start().await.unwrap()
}

/// Which node handled which event, and when.
pub type Handled = (&'static str, u64, Instant);

/// Makes scripts that tell which node they ran on.
#[derive(Clone)]
pub struct Teller(mpsc::Sender<Handled>);

impl Teller {
    pub fn new() -> (Self, mpsc::Receiver<Handled>) {
        let (told, handled) = mpsc::channel(100_000);
        (Self(told), handled)
    }

    pub fn on(&self, node: &'static str) -> Script {
        let told = self.0.clone();
        Script::new(move |_, context: EventContext| {
            told.try_send((node, context.position(), Instant::now())).expect("room to tell");
            std::future::ready(Ok(()))
        })
    }
}

/// What was told so far and not looked at.
pub fn told(handled: &mut mpsc::Receiver<Handled>) -> Vec<Handled> {
    std::iter::from_fn(|| handled.try_recv().ok()).collect()
}

/// Which node handled which event.
pub fn places(handled: &[Handled]) -> Vec<(&'static str, u64)> {
    handled.iter().map(|(node, position, _)| (*node, *position)).collect()
}

pub async fn state(desk: &Desk, handler: &str) -> HandlerState {
    status(desk, handler).await.state
}
