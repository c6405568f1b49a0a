//! A shutdown that is dropped half-way.

use std::sync::Arc;
use std::time::Duration;

use cqrs::application::{ApplicationState, StartError};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "shutdown.Lit")]
pub struct Lit;

#[derive(Router)]
pub struct LampRouter;

#[derive(Command, Serialize, Deserialize)]
#[command(name = "shutdown.Light", router = LampRouter, aggregate = Lamp, identify_by = id)]
pub struct Light {
    pub id: u64,
}

#[derive(Default, Clone)]
pub struct Lamp;

#[aggregate(stream_prefix = "shutdown_lamp")]
impl Lamp {
    #[execute]
    fn light(&self, _: &Light) -> Lit {
        Lit
    }

    #[apply]
    fn lit(&mut self, _: &Lit) {}
}

/// Handles an event as long as it is not let go.
#[derive(Clone, Default)]
pub struct Slow {
    begun: Arc<Notify>,
    release: Arc<Notify>,
}

#[event_handler(name = "slow", interested_in = [Lit])]
impl Slow {
    async fn on_lit(&self, _: &Lit) {
        self.begun.notify_one();
        self.release.notified().await;
    }
}

application! {
    pub struct Lamps {
        routers: [LampRouter],
        event_handlers: [Slow],
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_was_dropped_keeps_the_name_and_can_be_finished() {
    let (store, slow) = (MemoryStore::new(), Slow::default());
    let start = || Lamps::builder(store.clone()).event_handler(slow.clone()).start();
    let lamps = start().await.unwrap();
    lamps.dispatch(Light { id: 1 }).await.unwrap();
    slow.begun.notified().await;

    let dropped = tokio::time::timeout(Duration::from_millis(10), lamps.shutdown()).await;
    assert!(dropped.is_err());
    assert!(matches!(start().await, Err(StartError::AlreadyRunning { .. })));

    slow.release.notify_one();
    assert!(lamps.shutdown_within(Duration::MAX).await.is_clean());
    assert_eq!(lamps.state(), ApplicationState::Stopped);
    let again = start().await.unwrap();
    assert_eq!(again.handlers().await.unwrap()[0].position, 1);
    again.shutdown().await;
}
