//! Publishers on Postgres that are cut off at each step that they take, and whose calls fail one after the other: the
//! broker gets everything, in the order of each stream, and knows again what it gets twice.

use std::collections::{BTreeMap, BTreeSet};

use cqrs::application::Config;
use cqrs::postgres::PostgresPool;
use cqrs::prelude::*;
use cqrs::publisher::BatchLimits;
use cqrs::store::CheckpointStore as _;
use cqrs::testing::{TestPublisher, settle};

use crate::domain::{Desk, LIMIT, Paid, pay_past, pool, schema};
use crate::mortal::fate::{each_death_of, each_fault_of};
use crate::mortal::{Fate, MortalStore};

/// The accounts of the payments, whose amounts are their positions: those that are there, and those that come later.
const ACCOUNTS: [&str; 9] = ["a", "b", "a", "c", "a", "b", "c", "a", "b"];
const PAST: usize = 6;

const NAME: &str = "test-publisher";

const AT_A_TIME: usize = 4;

application! {
    struct Counter {
        routers: [Desk],
    }
}

type Broker = TestPublisher<Paid>;

/// Each message at least once; those of a stream in their order when they come for the first time; each event under one id.
fn check_messages(broker: &Broker) {
    let (mut seen, mut streams) = (BTreeSet::new(), BTreeMap::<String, Vec<u64>>::new());
    let mut ids = BTreeMap::new();
    for message in broker.messages() {
        let id = ids.entry(message.position).or_insert(message.id);
        assert_eq!(*id, message.id, "position {}", message.position);
        if seen.insert(message.position) {
            streams.entry(message.stream_id.to_string()).or_default().push(message.position);
        }
    }
    assert_eq!(seen, (1..=ACCOUNTS.len() as u64).collect());
    assert!(streams.values().all(|positions| positions.is_sorted()), "{streams:?}");
    assert_eq!(ids.values().map(ToString::to_string).collect::<BTreeSet<_>>().len(), ACCOUNTS.len());
}

/// Starts, also when the first attempt fails.
async fn start(store: &MortalStore<PostgresStore>, node: &str, broker: &Broker) -> Counter {
    let config = Config::new().checkpoint_every(1).tail_page(3);
    loop {
        let builder = Counter::builder(store.clone()).node(node).config(config.clone());
        if let Ok(counter) = builder.publisher(broker.clone()).start().await {
            return counter;
        }
        // It may have got leases without hearing of it.
        store.let_leases_run_out().await;
    }
}

async fn run(pool: &PostgresPool, fate: Fate) {
    let schema = schema().await;
    let store = pool.store(schema.name()).await.unwrap();
    pay_past(&store, &ACCOUNTS[..PAST]).await;
    let broker = Broker::new().limits(BatchLimits::new().messages(2));
    broker.confirm_first(1).fail_before("away").fail_after("lost");
    let mortal = MortalStore::new(&store, &fate);
    let life = async {
        let counter = start(&mortal, "mortal", &broker).await;
        settle(&counter).within(LIMIT).await;
        pay_past(&store, &ACCOUNTS).await;
        settle(&counter).within(LIMIT).await;
        counter.shutdown().await;
    };
    fate.live(life).await;
    let confirmed = store.checkpoint(NAME).await.unwrap().unwrap_or(0);
    let taken: BTreeSet<u64> = broker.messages().iter().map(|message| message.position).collect();
    assert!((1..=confirmed).all(|position| taken.contains(&position)), "{confirmed}: {taken:?}");

    mortal.let_leases_run_out().await;
    let heir = start(&MortalStore::new(&store, &Fate::kind()), "heir", &broker).await;
    pay_past(&store, &ACCOUNTS).await;
    settle(&heir).within(LIMIT).await;
    heir.shutdown().await;
    check_messages(&broker);
    let all = broker.messages().len();
    // What was not confirmed by the script, what was not written down, and nothing else.
    assert!(all <= ACCOUNTS.len() + 8, "{all} messages came");
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(ACCOUNTS.len() as u64));
}

/// G5, G6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_006_whatever_step_a_publisher_is_cut_off_at_each_message_arrives_in_order_under_one_id() {
    let pool = pool().await;
    let deaths = each_death_of(AT_A_TIME, async |fate| run(&pool, fate).await).await;
    println!("cut off at {deaths} steps");
    assert!(deaths > 20, "there were {deaths} only");
}

/// G5, G6
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_006_whichever_call_of_a_publisher_fails_each_message_arrives_in_order_under_one_id() {
    let pool = pool().await;
    let faults = each_fault_of(AT_A_TIME, async |fate| run(&pool, fate).await).await;
    println!("{faults} faults");
    assert!(faults > 20, "there were {faults} only");
}
