//! Event handlers and command handlers at work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cqrs::aggregate::DefaultLifespan;
use cqrs::handler::{HandlerConsistency, StartFrom};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Router)]
struct CounterRouter;

#[derive(Command, Serialize, Deserialize)]
#[command(router = CounterRouter, aggregate = Counter, identify_by = id, handler = Clock)]
struct Tick {
    id: u8,
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = CounterRouter, aggregate = Counter, identify_by = id)]
struct Tock {
    id: u8,
}

mod facts {
    use super::*;

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    pub(super) struct Ticked(pub(super) u64);

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    pub(super) struct Tocked;
}

#[derive(Debug, thiserror::Error)]
#[error("late")]
struct Late;

#[derive(Default, Clone, Serialize, Deserialize)]
struct Counter {
    ticks: u64,
}

/// Two macros may stand on one item.
#[aggregate(
    stream_prefix = "counter",
    error = Late,
    name = "counter",
    events = CounterFact,
    snapshot_every = 100,
    snapshot_version = 2,
    lifespan = DefaultLifespan,
    mailbox = 8
)]
impl Counter {
    const LIMIT: u64 = 3;

    #[execute]
    fn tock(&self, _: &Tock) -> facts::Tocked {
        facts::Tocked
    }

    #[apply]
    fn ticked(&mut self, event: &facts::Ticked) {
        self.ticks += event.0;
    }

    #[apply]
    fn tocked(&mut self, _: &facts::Tocked) {}

    #[before_execute]
    fn in_time(&self, _: &CommandContext) -> Result<(), Late> {
        if self.ticks < Self::LIMIT { Ok(()) } else { Err(Late) }
    }
}

/// Has no `Default`: the instance is given to the builder.
struct Clock(u64);

#[command_handler]
impl Clock {
    #[execute]
    async fn tick(
        &self,
        state: &Counter,
        command: &Tick,
        context: &CommandContext,
        emitter: &mut Emitter<'_, Counter>,
    ) -> Result<Option<facts::Ticked>, Late> {
        tokio::task::yield_now().await;
        assert_eq!(context.aggregate_id(), command.id.to_string());
        emitter.emit(facts::Tocked);
        Ok((state.ticks == 0).then_some(facts::Ticked(self.0)))
    }
}

/// Counts in what it was given.
#[derive(Clone, Default)]
struct Watch(Arc<AtomicU64>);

#[event_handler(
    name = "watch",
    interested_in = [facts::Ticked, facts::Tocked],
    start_from = position(0),
    consistency = strong
)]
impl Watch {
    async fn on_ticked(&self, event: &facts::Ticked, context: &EventContext) -> Result<(), Late> {
        assert_eq!(context.handler(), "watch");
        self.add(event.0);
        Ok(())
    }

    fn by_its_event(&self, _: &facts::Tocked) {
        self.add(100);
    }

    async fn on_error(&self, _: &HandlerFailure<Late>) -> ErrorAction {
        ErrorAction::Skip
    }

    fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::SeqCst);
    }
}

#[derive(Debug, thiserror::Error)]
#[error("any")]
struct AnyError(#[from] Late);

#[derive(Default)]
struct Mixed;

/// Fails in several ways, and one of its methods cannot.
#[event_handler(name = "mixed", interested_in = [facts::Ticked, facts::Tocked], error = AnyError, start_from = current)]
impl Mixed {
    async fn on_ticked(&self, _: &facts::Ticked) -> Result<(), Late> {
        Err(Late)
    }

    async fn on_tocked(&self, _: &facts::Tocked) -> Result<(), AnyError> {
        Ok(())
    }

    fn on_error(&self, failure: &HandlerFailure<AnyError>) -> ErrorAction {
        let _ = failure;
        ErrorAction::Skip
    }
}

#[derive(Default)]
struct Sure;

#[event_handler(name = "sure", interested_in = [facts::Tocked])]
impl Sure {
    async fn on_tocked(&self, event: &facts::Tocked) {
        let facts::Tocked = event;
    }
}

application! {
    struct Counters {
        routers: [CounterRouter],
        event_handlers: [Watch, Mixed, Sure],
    }
}

#[tokio::test]
async fn a_command_goes_from_its_handler_to_the_event_handlers() {
    let watch = Watch::default();
    let counters = Counters::builder(MemoryStore::new())
        .command_handler(Clock(3))
        .event_handler(watch.clone())
        .start()
        .await
        .unwrap();
    let receipt = counters.dispatch(Tick { id: 1 }).consistency(Strong).await.unwrap();
    assert_eq!(receipt.events(), [CounterFact::from(facts::Tocked), facts::Ticked(3).into()]);
    assert_eq!(watch.0.load(Ordering::SeqCst), 103);
    let late = counters.dispatch(Tock { id: 1 }).await;
    assert!(matches!(late, Err(DispatchError::Rejected(Late))));
    counters.shutdown().await;
}

#[test]
fn options_become_constants() {
    assert_eq!((Watch::NAME, Mixed::NAME, Sure::NAME), ("watch", "mixed", "sure"));
    assert_eq!(Watch::START_FROM, StartFrom::Position(0));
    assert_eq!(Mixed::START_FROM, StartFrom::Current);
    assert_eq!(Sure::START_FROM, StartFrom::Origin);
    assert_eq!(Watch::CONSISTENCY, HandlerConsistency::Strong);
    assert_eq!(Sure::CONSISTENCY, HandlerConsistency::Eventual);
    assert_eq!((Counter::NAME, Counter::STREAM_PREFIX), ("counter", "counter"));
    let settings = format!("{:?}", Counter::settings());
    assert!(settings.contains("Every(100)") && settings.contains('8'), "{settings}");
}
