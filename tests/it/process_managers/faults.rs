//! Process managers that go on while the calls of their store fail, one after the other: each command is carried out
//! once, and the instances are what they were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::domain::*;
use crate::support::log::{raw, sound_log, write};
use crate::support::mortal::{Fate, MortalStore, each_fault};
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, EventStore as _};
use cqrs::testing::TestClock;
use serde_json::json;

/// One goes on, and has a deadline and a command come in time; one goes back; one ends, and begins again.
const WORDS: [(&str, &str); 8] = [
    ("a", "start:undo=1/-1:do=2:by=t/2000"),
    ("b", "start:undo=1/-1:undo=2/-2:do=bad:do=never"),
    ("c", "start!:do=1:by=never/2000"),
    ("a", "go!:do=3:in=s/2000/4"),
    ("c", "stop:do=2"),
    ("c", "start!:do=3"),
    ("d", "go:do=never"),
    ("e", "any:by=far/90000"),
];

/// Starts, also when the first attempt fails.
async fn start(store: &MortalStore<MemoryStore>, clock: &TestClock) -> Jobs {
    let config = Config::new().checkpoint_every(1).tail_page(3);
    loop {
        let builder = Jobs::builder(store.clone()).node("only").clock(clock.clone()).config(config.clone());
        if let Ok(jobs) = builder.start().await {
            return jobs;
        }
        // It may have got leases without hearing of it.
        store.let_leases_run_out().await;
    }
}

async fn left(store: &MemoryStore, kind: &str) -> usize {
    store.records("foreman", kind, None, 100).await.unwrap().len()
}

/// Time passes, by all clocks, until nothing is left to be done.
async fn pass_time_until_done(store: &MemoryStore, clock: &TestClock) {
    for _ in 0..1_000 {
        let head = store.head().await.unwrap();
        let is_there = store.checkpoint("foreman").await.unwrap() == Some(head);
        if is_there && left(store, "command").await == 0 && left(store, "timer").await == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        clock.advance(Duration::from_secs(1));
    }
    panic!("it does not come to an end");
}

async fn check_all(store: &MemoryStore) {
    let of_a = done(store, "a").await;
    let in_order: Vec<_> = of_a.iter().filter(|what| ["1", "2", "3"].contains(&what.as_str())).collect();
    assert_eq!(in_order, ["1", "2", "3"]);
    assert_eq!(of_a.len(), 5, "{of_a:?}");
    assert!(["4", "late-t"].iter().all(|late| of_a.iter().any(|what| what == late)), "{of_a:?}");
    assert_eq!(done(store, "b").await, ["1", "2", "-2", "-1"]);
    assert_eq!(done(store, "c").await, ["1", "2", "3"]);
    assert!(done(store, "d").await.is_empty());
    assert_eq!(done(store, "e").await, ["late-far"]);
    assert_eq!((left(store, "parked").await, left(store, "effect").await), (0, 0));
    let mut instances: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in store.records("foreman", "instance", None, 100).await.unwrap() {
        let instance: serde_json::Value = serde_json::from_slice(&record.data).unwrap();
        instances.insert(record.key, serde_json::from_value(instance["state"]["words"].clone()).unwrap());
    }
    let expected = [
        ("a", vec![WORDS[0].1, WORDS[3].1, "deadline t"]),
        ("c", vec![WORDS[5].1]),
        ("e", vec![WORDS[7].1, "deadline far"]),
    ];
    let words = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
    assert_eq!(instances, expected.map(|(id, told)| (id.to_owned(), words(told))).into());
    sound_log(store).await;
}

async fn run(fate: &Fate) {
    let clock = TestClock::new();
    let store = MemoryStore::builder().clock(Arc::new(clock.clone())).build();
    for (job, word) in WORDS {
        let told = raw("jobs.Told", 1, &json!({ "job": job, "word": word }));
        write(&store, &format!("job-{job}"), vec![told]).await;
    }
    let jobs = start(&MortalStore::new(&store, fate), &clock).await;
    pass_time_until_done(&store, &clock).await;
    check_all(&store).await;
    jobs.shutdown().await;
    check_all(&store).await;
}

/// G7, T-385
#[tokio::test(start_paused = true)]
async fn g_007_t_385_whichever_call_fails_each_command_is_carried_out_once() {
    break_it("bad");
    on_error(|_, _| ProcessAction::Compensate);
    let faults = each_fault(async |fate| run(&fate).await).await;
    println!("{faults} faults");
    assert!(faults > 100, "there were {faults} only");
}
