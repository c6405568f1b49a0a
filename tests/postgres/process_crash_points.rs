//! Process managers on Postgres that are cut off at each step that they take, and whose calls fail one after the other:
//! each command is carried out once, and the instances are what the log has made of them.

use std::collections::{BTreeMap, BTreeSet};

use cqrs::postgres::PostgresPool;
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, EventFilter, EventStore as _};

use crate::domain::{pool, schema};
use crate::errands::{ask_all, inherit, live, ran};
use crate::mortal::fate::{each_death_of, each_fault_of};
use crate::mortal::{Fate, MortalStore};

/// One goes on and has something come in time, one goes back, one ends and begins again.
const WORDS: [(&str, &str); 6] = [
    ("a", "start:undo=1/-1:do=2:by=t"),
    ("b", "start:undo=1/-1:do=bad:do=never"),
    ("a", "go:do=3:in=s/4"),
    ("c", "start:do=1"),
    ("c", "stop:do=2"),
    ("c", "start:do=3"),
];

/// How many events there are when all is done.
const EVENTS: u64 = 16;

const AT_A_TIME: usize = 16;

/// What the words make of the instances, each handled once.
fn fold() -> BTreeMap<String, Vec<String>> {
    let mut instances: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (errand, word) in WORDS {
        match word.split(':').next().unwrap() {
            "start" => {
                instances.entry(errand.to_owned()).or_insert_with(|| vec![word.to_owned()]);
            }
            "go" => instances.get_mut(errand).unwrap().push(word.to_owned()),
            _ => drop(instances.remove(errand)),
        }
    }
    instances.get_mut("a").unwrap().push("deadline t".to_owned());
    instances.retain(|_, words| !words[0].contains("bad"));
    instances
}

async fn check_all(store: &PostgresStore) {
    let mut of_a = ran(store, "a").await;
    let in_order: Vec<_> = of_a.iter().filter(|what| ["1", "2", "3"].contains(&what.as_str())).collect();
    assert_eq!(in_order, ["1", "2", "3"]);
    of_a.sort_unstable();
    assert_eq!(of_a, ["1", "2", "3", "4", "late-t"]);
    assert_eq!(ran(store, "b").await, ["1", "-1"]);
    assert_eq!(ran(store, "c").await, ["1", "2", "3"]);
    let log = store.read_log(0, &EventFilter::all(), 1_000).await.unwrap().events;
    assert_eq!(log.len() as u64, EVENTS);
    let causes: BTreeSet<_> = log.iter().map(|event| event.causation_id.to_string()).collect();
    assert_eq!(causes.len(), log.len(), "each command has an id of its own");

    for kind in ["command", "timer", "parked", "effect"] {
        let left = store.records("steward", kind, None, 10).await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
    let instances = store.records("steward", "instance", None, 10).await.unwrap();
    let words = |data: &[u8]| -> Vec<String> {
        let instance: serde_json::Value = serde_json::from_slice(data).unwrap();
        serde_json::from_value(instance["state"]["words"].clone()).unwrap()
    };
    let instances: BTreeMap<_, _> =
        instances.into_iter().map(|record| (record.key, words(&record.data))).collect();
    assert_eq!(instances, fold());
}

async fn run(pool: &PostgresPool, fate: Fate) {
    let schema = schema().await;
    let store = pool.store(schema.name()).await.unwrap();
    ask_all(&store, &WORDS).await;
    let mortal = MortalStore::new(&store, &fate);
    live(&store, &mortal, fate, EVENTS).await;
    mortal.let_leases_run_out().await;
    inherit(&store).await;
    check_all(&store).await;
}

/// G7, T-376
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_t_376_whatever_step_it_is_cut_off_at_each_command_is_carried_out_once() {
    let pool = pool().await;
    let deaths = each_death_of(AT_A_TIME, async |fate| run(&pool, fate).await).await;
    println!("cut off at {deaths} steps");
    assert!(deaths > 100, "there were {deaths} only");
}

/// G7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_whichever_call_fails_each_command_is_carried_out_once() {
    let pool = pool().await;
    let faults = each_fault_of(AT_A_TIME, async |fate| run(&pool, fate).await).await;
    println!("{faults} faults");
    assert!(faults > 100, "there were {faults} only");
}
