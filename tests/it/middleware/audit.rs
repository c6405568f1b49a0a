//! The audit: T-440, and what lies around it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs::MemoryStore;
use cqrs::audit::{AuditOutcome, AuditQuery, AuditRecord, AuditStatus, AuditStore};
use cqrs::clock::Clock;
use cqrs::id::{AuditId, CausationId, CommandId, CorrelationId};
use cqrs::middleware::{Audit, Middleware, NotAudited};
use cqrs::prelude::*;
use cqrs::store::StoreError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::gate::Gate;
use crate::support::log::sound_log;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "audit.Paid")]
pub struct Paid {
    pub cents: u64,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Card {
    pub holder: String,
    #[serde(rename = "no")]
    pub number: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = TillRouter, aggregate = Till, identify_by = till, redact = [pin, cards."no"])]
#[serde(rename_all = "camelCase")]
pub struct Pay {
    pub till: String,
    pub cents: u64,
    #[serde(rename = "pinCode")]
    pub pin: u32,
    pub cards: Vec<Card>,
    pub extra: Value,
}

#[derive(Debug, thiserror::Error)]
pub enum PayError {
    #[error("it is too much")]
    TooMuch(#[source] Limit),
    #[error("")]
    NoReason,
}

#[derive(Debug, thiserror::Error)]
#[error("the limit is 100")]
pub struct Limit;

#[derive(Default, Clone, Debug)]
pub struct Till;

#[aggregate(stream_prefix = "till", error = PayError)]
impl Till {
    #[execute]
    fn pay(&self, command: &Pay) -> Result<Paid, PayError> {
        match command.cents {
            0 => Err(PayError::NoReason),
            1..=100 => Ok(Paid { cents: command.cents }),
            _ => Err(PayError::TooMuch(Limit)),
        }
    }

    #[apply]
    fn paid(&mut self, _event: &Paid) {}
}

#[derive(Router)]
pub struct TillRouter;

application! {
    pub struct Tills {
        routers: [TillRouter],
    }
}

fn pay(cents: u64) -> Pay {
    let card = |holder: &str| Card { holder: holder.to_owned(), number: "4711".to_owned() };
    Pay {
        till: "1".to_owned(),
        cents,
        pin: 1234,
        cards: vec![card("Ann"), card("Bob")],
        extra: json!({ "Password": "abc", "note": "x" }),
    }
}

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }
}

async fn audited(store: &MemoryStore, audit: Audit) -> Tills {
    Tills::builder(store.clone()).middleware(audit).start().await.unwrap()
}

async fn records(store: &MemoryStore) -> Vec<AuditRecord> {
    store.audit(&AuditQuery::new(), None, 100).await.unwrap()
}

/// Waits inside the audit, so that what it has written is seen before the command is dispatched.
struct Hold(Gate);

impl Middleware for Hold {
    async fn before_dispatch(&self, _context: &mut DispatchContext) -> Result<(), Halt> {
        self.0.pass().await;
        Ok(())
    }
}

#[tokio::test]
async fn t_440_a_record_is_there_before_the_command_is_dispatched_and_completed_after() {
    let (store, gate) = (MemoryStore::new(), Gate::shut());
    let builder = Tills::builder(store.clone()).middleware(Audit::new(store.clone()).clock(Arc::new(Noon)));
    let tills = builder.middleware(Hold(gate.clone())).start().await.unwrap();
    let (command, correlation) = (CommandId::new(), CorrelationId::new());
    let causation = CausationId::from(Uuid::from_u128(7));
    let dispatch = tills.dispatch(pay(5)).command_id(command).correlation_id(correlation);
    let dispatch = dispatch.causation_id(causation).metadata("actor", "u-7").metadata("secret", "s");
    let look = async {
        gate.arrival().await;
        let open = records(&store).await;
        assert!(sound_log(&store).await.is_empty());
        gate.open();
        open
    };
    let (dispatched, open) = tokio::join!(dispatch, look);
    dispatched.unwrap();

    let [record] = &open[..] else { panic!("{open:?}") };
    assert_eq!((record.command_id, record.correlation_id), (command, correlation));
    assert_eq!((record.causation_id, record.occurred_at), (Some(causation), Noon.now()));
    assert_eq!((record.command.as_str(), record.actor.as_deref()), ("Pay", Some("u-7")));
    let cards = json!([{ "holder": "Ann", "no": "[redacted]" }, { "holder": "Bob", "no": "[redacted]" }]);
    let extra = json!({ "Password": "[redacted]", "note": "x" });
    let data = json!({ "till": "1", "cents": 5, "pinCode": "[redacted]", "cards": cards, "extra": extra });
    assert_eq!(record.data, data);
    let metadata = [("actor", "u-7"), ("secret", "[redacted]")].into_iter().collect();
    assert_eq!((&record.metadata, record.is_success()), (&metadata, None));

    let closed = records(&store).await;
    assert_eq!(closed[0].is_success(), Some(true));
    assert_eq!(AuditRecord { outcome: None, ..closed[0].clone() }, open[0], "nothing else has changed");
    // The events and the aggregate see what the record does not.
    assert_eq!(sound_log(&store).await[0].metadata.get("secret"), Some(&json!("s")));
    tills.shutdown().await;
}

#[tokio::test]
async fn t_440_a_failure_is_recorded_with_its_kind_and_reason() {
    let store = MemoryStore::new();
    let tills = audited(&store, Audit::new(store.clone())).await;
    tills.dispatch(pay(101)).await.unwrap_err();
    tills.dispatch(pay(0)).await.unwrap_err();
    tills.dispatch(pay(1)).expected_version(5).await.unwrap_err();
    let errors: Vec<_> =
        records(&store).await.into_iter().map(|record| record.outcome.unwrap().error.unwrap()).collect();
    assert_eq!((errors[0].kind.as_str(), errors[1].kind.as_str()), ("rejected", "rejected"));
    assert!(errors[0].text.contains("it is too much: the limit is 100"), "{errors:?}");
    assert_eq!(errors[2].kind, "conflict");
    assert_eq!(errors[1].text, "", "a failure without a reason");
    let failed = AuditQuery::new().status(AuditStatus::Failed);
    assert_eq!(store.audit(&failed, None, 100).await.unwrap().len(), 3);
    tills.shutdown().await;
}

#[tokio::test]
async fn a_command_that_is_repeated_has_a_record_each_time() {
    let store = MemoryStore::new();
    let tills = audited(&store, Audit::new(store.clone())).await;
    let id = CommandId::new();
    for _ in 0..2 {
        tills.dispatch(pay(5)).command_id(id).await.unwrap();
    }
    tills.dispatch(pay(5)).await.unwrap();
    let of_command = store.audit(&AuditQuery::new().command_id(id), None, 100).await.unwrap();
    assert_eq!(of_command.len(), 2);
    assert!(of_command.iter().all(|record| record.is_success() == Some(true)));
    assert_eq!(sound_log(&store).await.len(), 2);
    tills.shutdown().await;
}

#[tokio::test]
async fn the_actor_and_the_names_that_are_redacted_can_be_chosen() {
    let store = MemoryStore::new();
    let audit = Audit::new(store.clone()).actor_from("user").redact(["NOTE"]);
    let tills = audited(&store, audit).await;
    tills.dispatch(pay(5)).metadata("user", json!({ "id": 7 })).await.unwrap();
    let record = &records(&store).await[0];
    assert_eq!(record.actor.as_deref(), Some(r#"{"id":7}"#));
    assert_eq!(record.data["extra"], json!({ "Password": "abc", "note": "[redacted]" }));
    assert_eq!(record.data["pinCode"], "[redacted]", "what the command redacts is redacted by every audit");
    tills.shutdown().await;
}

#[tokio::test]
async fn a_dispatch_that_is_dropped_leaves_its_record_open() {
    let (store, gate) = (MemoryStore::new(), Gate::shut());
    let builder = Tills::builder(store.clone()).middleware(Audit::new(store.clone()));
    let tills = builder.middleware(Hold(gate.clone())).start().await.unwrap();
    tokio::select! {
        outcome = tills.dispatch(pay(5)) => panic!("{outcome:?}"),
        () = gate.arrival() => {}
    }
    assert_eq!(records(&store).await[0].is_success(), None);
    tills.shutdown().await;
}

/// An audit whose writes fail when told so.
#[derive(Clone, Debug, Default)]
struct Faulty {
    inner: MemoryStore,
    fails_to_begin: Arc<AtomicBool>,
    fails_to_end: Arc<AtomicBool>,
}

fn check(fails: &AtomicBool) -> Result<(), StoreError> {
    match fails.load(Ordering::SeqCst) {
        true => Err(StoreError::Unavailable("unplugged".into())),
        false => Ok(()),
    }
}

#[async_trait]
impl AuditStore for Faulty {
    async fn begin_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        check(&self.fails_to_begin)?;
        self.inner.begin_audit(record).await
    }

    async fn end_audit(&self, id: AuditId, outcome: AuditOutcome) -> Result<(), StoreError> {
        check(&self.fails_to_end)?;
        self.inner.end_audit(id, outcome).await
    }

    async fn audit(
        &self,
        query: &AuditQuery,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        self.inner.audit(query, after, limit).await
    }

    async fn delete_audit_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        self.inner.delete_audit_before(time).await
    }
}

/// Refuses whatever comes to it.
struct Closed;

impl Middleware for Closed {
    async fn before_dispatch(&self, _context: &mut DispatchContext) -> Result<(), Halt> {
        Err(Halt::refuse("closed today"))
    }
}

// L-036: what came to the audit is recorded, with what became of it.
#[tokio::test]
async fn a_command_that_a_later_layer_refuses_is_recorded_as_halted() {
    let store = MemoryStore::new();
    let builder = Tills::builder(store.clone()).middleware(Audit::new(store.clone()));
    let tills = builder.middleware(Closed).start().await.unwrap();
    tills.dispatch(pay(5)).await.unwrap_err();
    let records = records(&store).await;
    let [record] = &records[..] else { panic!("{records:?}") };
    let error = record.outcome.as_ref().unwrap().error.as_ref().unwrap();
    assert_eq!((record.is_success(), error.kind.as_str()), (Some(false), "halted"));
    assert!(error.text.contains("closed today"), "{error:?}");
    assert!(sound_log(&store).await.is_empty());
    tills.shutdown().await;
}

// L-036: and what does not come to it is not.
#[tokio::test]
async fn a_command_that_an_earlier_layer_refuses_is_not_recorded() {
    let store = MemoryStore::new();
    let builder = Tills::builder(store.clone()).middleware(Closed);
    let tills = builder.middleware(Audit::new(store.clone())).start().await.unwrap();
    tills.dispatch(pay(5)).await.unwrap_err();
    assert!(records(&store).await.is_empty());
    tills.shutdown().await;
}

// L-036
#[tokio::test]
async fn a_command_whose_record_cannot_be_written_is_refused() {
    let (store, faulty) = (MemoryStore::new(), Faulty::default());
    let tills = audited(&store, Audit::new(faulty.clone())).await;
    faulty.fails_to_begin.store(true, Ordering::SeqCst);
    let error = tills.dispatch(pay(5)).await.unwrap_err();
    let DispatchError::Halted { middleware, source, .. } = error else { panic!("{error:?}") };
    assert_eq!(middleware, "Audit");
    assert!(
        matches!(source.downcast_ref(), Some(NotAudited::Store(StoreError::Unavailable(_)))),
        "{source:?}"
    );
    assert!(sound_log(&store).await.is_empty());
    faulty.fails_to_begin.store(false, Ordering::SeqCst);
    tills.dispatch(pay(5)).await.unwrap();
    assert_eq!(records(&faulty.inner).await.len(), 1);
    tills.shutdown().await;
}

#[tokio::test]
async fn an_audit_of_best_effort_lets_the_command_through() {
    let (store, faulty) = (MemoryStore::new(), Faulty::default());
    let tills = audited(&store, Audit::new(faulty.clone()).best_effort()).await;
    faulty.fails_to_begin.store(true, Ordering::SeqCst);
    tills.dispatch(pay(5)).await.unwrap();
    assert_eq!((sound_log(&store).await.len(), records(&faulty.inner).await.len()), (1, 0));
    tills.shutdown().await;
}

#[tokio::test]
async fn a_record_that_cannot_be_completed_changes_no_outcome() {
    let (store, faulty) = (MemoryStore::new(), Faulty::default());
    let tills = audited(&store, Audit::new(faulty.clone())).await;
    faulty.fails_to_end.store(true, Ordering::SeqCst);
    tills.dispatch(pay(5)).await.unwrap();
    assert_eq!(records(&faulty.inner).await[0].is_success(), None);
    tills.shutdown().await;
}

/// A layer of the application and one of the router: each completes its own record.
mod twice {
    use super::*;

    #[derive(Clone)]
    struct Inner(Audit);

    impl Middleware for Inner {
        async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
            self.0.before_dispatch(context).await
        }

        async fn after_dispatch(&self, context: &mut DispatchContext, outcome: &DispatchOutcome) {
            self.0.after_dispatch(context, outcome).await;
        }

        async fn after_failure(&self, context: &mut DispatchContext, failure: &DispatchFailure<'_>) {
            self.0.after_failure(context, failure).await;
        }
    }

    #[tokio::test]
    async fn audits_within_each_other_do_not_mix() {
        let (outer, inner) = (Faulty::default(), Faulty::default());
        let builder = Tills::builder(MemoryStore::new()).middleware(Audit::new(outer.clone()));
        let tills = builder.middleware(Inner(Audit::new(inner.clone()))).start().await.unwrap();
        tills.dispatch(pay(5)).await.unwrap();
        inner.fails_to_begin.store(true, Ordering::SeqCst);
        tills.dispatch(pay(5)).await.unwrap_err();
        let ends = async |audit: &Faulty| -> Vec<_> {
            records(&audit.inner).await.iter().map(AuditRecord::is_success).collect()
        };
        assert_eq!(ends(&outer).await, [Some(true), Some(false)]);
        assert_eq!(ends(&inner).await, [Some(true)]);
        tills.shutdown().await;
    }
}
