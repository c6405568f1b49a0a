//! The audit of commands that nobody sent by hand: T-440 for handlers, process managers, schedules and JSON.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::audit::{AuditQuery, AuditRecord, AuditStore as _};
use cqrs::clock::Clock as _;
use cqrs::id::{CausationId, CommandId, CorrelationId};
use cqrs::middleware::Audit;
use cqrs::prelude::*;
use cqrs::schedule::{Schedule, Scheduler};
use cqrs::store::RecordedEvent;
use cqrs::testing::{TestClock, settle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::audit::{Card, Pay, TillRouter};
use crate::support::log::sound_log;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "audit.Ordered")]
struct Ordered {
    order: String,
    cents: u64,
}

/// Is paid by a handler, a process manager or a schedule, as the name of the order says.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = OrderRouter, aggregate = Order, identify_by = order)]
struct PlaceOrder {
    order: String,
    cents: u64,
}

#[derive(Default, Clone, Debug)]
struct Order;

#[aggregate(stream_prefix = "audited_order")]
impl Order {
    #[execute]
    fn place(&self, command: &PlaceOrder) -> Ordered {
        Ordered { order: command.order.clone(), cents: command.cents }
    }

    #[apply]
    fn placed(&mut self, _event: &Ordered) {}
}

#[derive(Router)]
struct OrderRouter;

#[derive(Debug, thiserror::Error)]
#[error("there is no cashier")]
struct NoCashier;

/// Pays at once, in its own name or in that of whoever placed the order, or later.
#[derive(Default)]
struct Cashier;

#[event_handler(name = "cashier", interested_in = [Ordered], consistency = strong)]
impl Cashier {
    async fn on_ordered(&self, event: &Ordered, context: &EventContext) -> Result<(), NoCashier> {
        let orders: Orders = context.app().ok_or(NoCashier)?;
        let actor = context.metadata().get("actor").cloned();
        // What is refused is in the audit.
        match event.order.as_str() {
            "by nobody" => drop(orders.dispatch(pay(event.cents)).await),
            "by handler" => drop(orders.dispatch(pay(event.cents)).metadata("actor", actor).await),
            "later" => {
                let due = context.created_at() + chrono::Duration::seconds(10);
                let schedule = Schedule::once(&pay(event.cents), due).metadata("actor", actor);
                orders.schedules().add(schedule).await.map_err(|_| NoCashier)?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Pays in the name of whoever placed the order.
#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct Collector {}

#[process_manager(name = "collector", interested_in = [Ordered], consistency = strong)]
impl Collector {
    #[on(start, by = order)]
    fn ordered(&mut self, event: &Ordered, process: &mut Process) {
        if event.order == "by process" {
            process.send(pay(event.cents)).metadata("reason", "an order");
        }
    }

    fn on_error(&mut self, _failure: &ProcessFailure<Infallible>, _process: &mut Process) -> ProcessAction {
        ProcessAction::Skip
    }
}

application! {
    struct Orders {
        routers: [TillRouter, OrderRouter],
        event_handlers: [Cashier],
        process_managers: [Collector, Scheduler],
    }
}

fn pay(cents: u64) -> Pay {
    let cards = vec![Card { holder: "Ann".to_owned(), number: "4711".to_owned() }];
    Pay { till: "1".to_owned(), cents, pin: 1234, cards, extra: json!({ "Password": "abc" }) }
}

fn redacted(cents: u64) -> Value {
    let cards = json!([{ "holder": "Ann", "no": "[redacted]" }]);
    let extra = json!({ "Password": "[redacted]" });
    json!({ "till": "1", "cents": cents, "pinCode": "[redacted]", "cards": cards, "extra": extra })
}

struct Site {
    store: MemoryStore,
    clock: TestClock,
    orders: Orders,
}

impl Site {
    async fn new() -> Self {
        let clock = TestClock::new();
        let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
        let audit = Audit::new(store.clone()).clock(Arc::new(clock.clone()));
        let orders =
            Orders::builder(store.clone()).clock(clock.clone()).middleware(audit).start().await.unwrap();
        Self { store, clock, orders }
    }

    /// Places an order in the name of u-7, and gives its correlation and its event.
    async fn place(&self, order: &str, cents: u64) -> (CorrelationId, RecordedEvent) {
        let correlation_id = CorrelationId::new();
        let place = PlaceOrder { order: order.to_owned(), cents };
        let place = self.orders.dispatch(place).correlation_id(correlation_id);
        let placed = place.metadata("actor", "u-7").metadata("secret", "s").await.unwrap();
        settle(&self.orders).await;
        let position = usize::try_from(placed.position().unwrap()).unwrap();
        (correlation_id, sound_log(&self.store).await[position - 1].clone())
    }

    async fn records(&self, query: AuditQuery) -> Vec<AuditRecord> {
        self.store.audit(&query, None, 100).await.unwrap()
    }

    async fn payments(&self) -> Vec<AuditRecord> {
        self.records(AuditQuery::new().command("Pay")).await
    }

    async fn payment(&self) -> AuditRecord {
        let mut payments = self.payments().await;
        assert_eq!(payments.len(), 1, "{payments:?}");
        payments.remove(0)
    }

    /// The last event of the log is that of the command, and both belong together with what is given.
    async fn check(&self, record: &AuditRecord, cause: Option<CausationId>, correlation_id: CorrelationId) {
        let paid = sound_log(&self.store).await.pop().unwrap();
        assert_eq!(paid.event_type, "audit.Paid");
        assert_eq!(
            (paid.causation_id, paid.correlation_id),
            (record.command_id.into(), record.correlation_id)
        );
        assert_eq!((record.causation_id, record.correlation_id), (cause, correlation_id));
        assert_eq!(record.is_success(), Some(true));
        assert_eq!(record.occurred_at, self.clock.now());
    }
}

fn error_of(record: &AuditRecord) -> (&str, &str) {
    let error = record.outcome.as_ref().unwrap().error.as_ref().unwrap();
    (&error.kind, &error.text)
}

#[tokio::test]
async fn t_440_commands_of_event_handlers_are_recorded_with_their_cause() {
    let site = Site::new().await;
    let (correlation_id, event) = site.place("by handler", 5).await;
    let record = site.payment().await;
    site.check(&record, Some(event.event_id.into()), correlation_id).await;
    assert_eq!((record.actor.as_deref(), &record.data), (Some("u-7"), &redacted(5)));
    assert_eq!(record.metadata, [("actor", "u-7")].into_iter().collect(), "what the handler has handed over");
    let both = site.records(AuditQuery::new().correlation_id(correlation_id)).await;
    assert_eq!(both.iter().map(|one| one.command.as_str()).collect::<Vec<_>>(), ["PlaceOrder", "Pay"]);
    assert_eq!(CausationId::from(both[0].command_id), event.causation_id);
    site.orders.shutdown().await;
}

#[tokio::test]
async fn t_440_a_handler_that_tells_no_actor_has_none() {
    let site = Site::new().await;
    let (correlation_id, event) = site.place("by nobody", 5).await;
    let record = site.payment().await;
    site.check(&record, Some(event.event_id.into()), correlation_id).await;
    assert_eq!((record.actor.as_deref(), record.metadata.is_empty()), (None, true));
    site.orders.shutdown().await;
}

#[tokio::test]
async fn t_440_commands_of_handlers_that_are_refused_are_recorded_as_such() {
    let site = Site::new().await;
    for order in ["by handler", "by process"] {
        let (correlation_id, event) = site.place(order, 101).await;
        let of_order = site.records(AuditQuery::new().correlation_id(correlation_id).command("Pay")).await;
        let [record] = &of_order[..] else { panic!("{of_order:?}") };
        assert_eq!(error_of(record), ("rejected", "it is too much: the limit is 100"), "{order}");
        assert_eq!((record.causation_id, &record.data), (Some(event.event_id.into()), &redacted(101)));
        assert_eq!(record.actor.as_deref(), Some("u-7"));
    }
    site.orders.shutdown().await;
}

#[tokio::test]
async fn t_440_commands_of_process_managers_are_recorded_with_what_they_inherit() {
    let site = Site::new().await;
    let (correlation_id, event) = site.place("by process", 5).await;
    let record = site.payment().await;
    site.check(&record, Some(event.event_id.into()), correlation_id).await;
    assert_eq!((record.actor.as_deref(), &record.data), (Some("u-7"), &redacted(5)));
    let metadata = [("actor", "u-7"), ("secret", "[redacted]"), ("reason", "an order")];
    assert_eq!(record.metadata, metadata.into_iter().collect());
    site.orders.shutdown().await;
}

#[tokio::test]
async fn t_440_scheduled_commands_are_recorded_when_they_are_carried_out() {
    let site = Site::new().await;
    let due = site.clock.now() + chrono::Duration::seconds(10);
    let schedule = Schedule::once(&pay(5), due).metadata("actor", "u-7").metadata("secret", "s");
    site.orders.schedules().add(schedule).await.unwrap();
    settle(&site.orders).await;
    assert_eq!(site.payments().await, []);
    site.clock.advance(Duration::from_secs(10));
    settle(&site.orders).await;
    let record = site.payment().await;
    site.check(&record, record.causation_id, record.correlation_id).await;
    assert_eq!((record.actor.as_deref(), &record.data), (Some("u-7"), &redacted(5)));
    assert_eq!(record.metadata, [("actor", "u-7"), ("secret", "[redacted]")].into_iter().collect());
    site.orders.shutdown().await;
}

#[tokio::test]
async fn t_440_a_command_that_recurs_is_another_one_each_time() {
    let site = Site::new().await;
    let schedule = Schedule::recurring(&pay(5), "* * * * *").unwrap().metadata("actor", "u-7");
    site.orders.schedules().add(schedule).await.unwrap();
    for _ in 0..3 {
        settle(&site.orders).await;
        site.clock.advance(Duration::from_secs(60));
    }
    settle(&site.orders).await;
    let payments = site.payments().await;
    let ids: std::collections::HashSet<_> = payments.iter().map(|record| record.command_id).collect();
    assert_eq!((payments.len(), ids.len(), sound_log(&site.store).await.len()), (3, 3, 3));
    for record in &payments {
        assert_eq!(
            (record.actor.as_deref(), &record.data, record.is_success()),
            (Some("u-7"), &redacted(5), Some(true))
        );
    }
    site.orders.shutdown().await;
}

#[tokio::test]
async fn t_440_what_a_handler_schedules_is_caused_by_its_event() {
    let site = Site::new().await;
    let (correlation_id, event) = site.place("later", 5).await;
    assert_eq!(site.payments().await, []);
    site.clock.advance(Duration::from_secs(10));
    settle(&site.orders).await;
    let record = site.payment().await;
    site.check(&record, Some(event.event_id.into()), correlation_id).await;
    assert_eq!((record.actor.as_deref(), &record.data), (Some("u-7"), &redacted(5)));
    site.orders.shutdown().await;
}

#[tokio::test]
async fn t_440_commands_of_json_are_recorded_like_typed_ones() {
    let site = Site::new().await;
    let (command_id, correlation_id) = (CommandId::new(), CorrelationId::new());
    let causation_id = CausationId::from(Uuid::from_u128(7));
    let mut data = serde_json::to_value(pay(5)).unwrap();
    data["unknown"] = json!({ "pin": 1234 });
    let sent = site.orders.dispatch_json("Pay", data).command_id(command_id).correlation_id(correlation_id);
    sent.causation_id(causation_id).metadata("actor", "u-7").metadata("Secret", "s").await.unwrap();
    let record = site.payment().await;
    assert_eq!(record.command_id, command_id);
    site.check(&record, Some(causation_id), correlation_id).await;
    assert_eq!((record.actor.as_deref(), &record.data), (Some("u-7"), &redacted(5)), "and nothing unknown");
    assert_eq!(record.metadata, [("actor", "u-7"), ("Secret", "[redacted]")].into_iter().collect());

    site.orders.dispatch_json("Pay", serde_json::to_value(pay(101)).unwrap()).await.unwrap_err();
    assert_eq!(error_of(&site.payments().await[1]), ("rejected", "it is too much: the limit is 100"));
    // What is no command does not come to the layers.
    site.orders.dispatch_json("Pay", json!({ "till": "1", "pinCode": "abc" })).await.unwrap_err();
    site.orders.dispatch_json("Steal", json!({ "till": "1" })).await.unwrap_err();
    assert_eq!(site.records(AuditQuery::new()).await.len(), 2);
    site.orders.shutdown().await;
}
