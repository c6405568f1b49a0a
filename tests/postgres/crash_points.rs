//! Event handlers on Postgres that are cut off at each step that they take, and whose calls fail one after the other:
//! each event is handled, in the order of its key.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use cqrs::application::Config;
use cqrs::handler::{Envelope, EventHandler};
use cqrs::postgres::PostgresPool;
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use cqrs::testing::settle;

use crate::domain::{Desk, LIMIT, Paid, pay_past, pool, schema};
use crate::mortal::{Fate, MortalStore, each_death, each_fault};

/// The accounts of the payments, whose amounts are their positions: those that are there, and those that come later.
const ACCOUNTS: [&str; 6] = ["a", "b", "a", "c", "b", "a"];
const PAST: usize = 4;

application! {
    pub struct Counter {
        routers: [Desk],
    }
}

/// The account and amount of each payment, in the order in which they were handled.
#[derive(Clone, Default)]
pub struct Receipts(Arc<Mutex<Vec<(String, u64)>>>);

impl Receipts {
    fn write(&self, event: &Paid) {
        self.0.lock().unwrap().push((event.account_id.clone(), event.amount));
    }

    /// Each payment at least once; those of an account in their order when they come for the first time.
    fn check(&self) {
        let mut accounts: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        let (receipts, mut seen) = (self.0.lock().unwrap(), BTreeSet::new());
        for (account, amount) in receipts.iter().filter(|(_, amount)| seen.insert(*amount)) {
            accounts.entry(account).or_default().push(*amount);
        }
        assert_eq!(seen.len(), ACCOUNTS.len(), "{receipts:?}");
        assert!(accounts.values().all(|amounts| amounts.is_sorted()), "{receipts:?}");
    }
}

#[derive(Clone)]
pub struct Single(Receipts);

#[event_handler(name = "single", interested_in = [Paid])]
impl Single {
    fn on_paid(&self, event: &Paid) -> Result<(), Infallible> {
        self.0.write(event);
        Ok(())
    }
}

#[derive(Clone)]
pub struct Divided(Receipts);

#[event_handler(name = "divided", interested_in = [Paid], partitions = 2)]
impl Divided {
    fn on_paid(&self, event: &Paid) -> Result<(), Infallible> {
        self.0.write(event);
        Ok(())
    }
}

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum Payment {
    Paid(Paid),
}

#[derive(Clone)]
pub struct Batches(Receipts);

#[event_handler(name = "batches", events = Payment, batch_size = 3)]
impl Batches {
    fn on_batch(&self, events: &[Envelope<Payment>]) -> Result<(), Infallible> {
        for one in events {
            let Payment::Paid(event) = &one.event;
            self.0.write(event);
        }
        Ok(())
    }
}

/// Starts, also when the first attempt fails.
async fn start<H: EventHandler + Clone>(
    store: &MortalStore<PostgresStore>,
    node: &str,
    handler: &H,
) -> Counter {
    let config = Config::new().checkpoint_every(1).tail_page(3);
    loop {
        let builder = Counter::builder(store.clone()).node(node).config(config.clone());
        if let Ok(counter) = builder.event_handler(handler.clone()).start().await {
            return counter;
        }
        // It may have got leases without hearing of it.
        store.let_leases_run_out().await;
    }
}

async fn run<H: EventHandler + Clone>(pool: &PostgresPool, fate: Fate, handler: fn(Receipts) -> H) {
    let (schema, receipts) = (schema().await, Receipts::default());
    let (store, handler) = (pool.store(schema.name()).await.unwrap(), handler(receipts.clone()));
    pay_past(&store, &ACCOUNTS[..PAST]).await;
    let mortal = MortalStore::new(&store, &fate);
    let life = async {
        let counter = start(&mortal, "mortal", &handler).await;
        settle(&counter).within(LIMIT).await;
        pay_past(&store, &ACCOUNTS).await;
        settle(&counter).within(LIMIT).await;
        counter.shutdown().await;
    };
    fate.live(life).await;
    if H::PARTITIONS == 1 {
        let checkpoint = store.checkpoint(H::NAME).await.unwrap().unwrap_or(0);
        let handled: BTreeSet<u64> = receipts.0.lock().unwrap().iter().map(|(_, amount)| *amount).collect();
        assert!((1..=checkpoint).all(|position| handled.contains(&position)), "{checkpoint}: {handled:?}");
    }
    mortal.let_leases_run_out().await;
    let heir = start(&MortalStore::new(&store, &Fate::kind()), "heir", &handler).await;
    pay_past(&store, &ACCOUNTS).await;
    settle(&heir).within(LIMIT).await;
    heir.shutdown().await;
    receipts.check();
}

async fn check<H: EventHandler + Clone>(handler: fn(Receipts) -> H) -> (usize, usize) {
    let pool = pool().await;
    let deaths = each_death(async |fate| run(&pool, fate, handler).await).await;
    let faults = each_fault(async |fate| run(&pool, fate, handler).await).await;
    (deaths, faults)
}

/// G5, G6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_005_g_006_whatever_step_a_handler_is_cut_off_at_each_event_is_handled_in_order() {
    let (deaths, faults) = check(Single).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 20 && faults > 20, "there were {deaths} and {faults} only");
}

/// G5, G6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_005_g_006_whatever_step_a_handler_of_batches_is_cut_off_at_each_event_is_handled_in_order() {
    let (deaths, faults) = check(Batches).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 20 && faults > 20, "there were {deaths} and {faults} only");
}

/// G5, G6, D7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_005_g_006_whatever_step_partitions_are_cut_off_at_each_event_is_handled_in_order() {
    let (deaths, faults) = check(Divided).await;
    println!("cut off at {deaths} steps, {faults} faults");
    assert!(deaths > 30 && faults > 30, "there were {deaths} and {faults} only");
}
