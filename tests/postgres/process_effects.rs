//! Effects and deadlines of process managers on Postgres, while nodes die between what they do and what they write of it.

use std::time::Duration;

use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;

use crate::domain::{in_time, pool, schema, store};
use crate::errands::{ask_all, go_on, inherit, live, made, ran, start, stay};
use crate::mortal::fate::each_death_of;
use crate::mortal::{Fate, MortalStore};

const AT_A_TIME: usize = 8;

/// What was asked, and what came of it.
const EVENTS: u64 = 4;

async fn kept(store: &PostgresStore) -> usize {
    store.records("steward", "effect", None, 10).await.unwrap().len()
}

/// Each command was carried out once, and nothing is left to be done.
async fn check_done(store: &PostgresStore, errand: &str) {
    let mut all = ran(store, errand).await;
    all.sort_unstable();
    assert_eq!(all, ["1", "2", "late-t"]);
    for kind in ["effect", "timer", "command"] {
        assert!(store.records("steward", kind, None, 1).await.unwrap().is_empty(), "{kind}");
    }
}

/// Whatever step it is cut off at: an effect whose result was written is not made again; a deadline and a scheduled command
/// come once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_376_what_is_written_down_of_an_effect_and_of_a_deadline_counts_whoever_dies() {
    let pool = pool().await;
    let deaths = each_death_of(AT_A_TIME, async |fate| {
        let schema = schema().await;
        let store = pool.store(schema.name()).await.unwrap();
        // A name of its own, by which its effects are counted.
        let errand = schema.name();
        ask_all(&store, &[(errand, "start:once=mail:do=1:by=t:in=s/2")]).await;
        let mortal = MortalStore::new(&store, &fate);
        live(&store, &mortal, fate, EVENTS).await;
        let before = made(errand);
        assert!(before <= 1, "{before} times in one life");
        let is_kept = kept(&store).await > 0;
        let is_handled = store.checkpoint("steward").await.unwrap().unwrap_or(0) >= 1;

        mortal.let_leases_run_out().await;
        inherit(&store).await;
        let again = made(errand) - before;
        match is_kept || is_handled {
            true => assert_eq!((before, again), (1, 0)),
            // It may have been made without anybody having written that down.
            false => assert!(again <= 1 && before + again >= 1, "{before} and {again} times"),
        }
        check_done(&store, errand).await;
    });
    let deaths = deaths.await;
    println!("cut off at {deaths} steps");
    assert!(deaths > 40, "there were {deaths} only");
}

/// A node is cut off behind an effect, in the midst of the step: the next one goes on with its result.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_376_an_effect_is_not_made_again_when_its_node_is_cut_off_before_it_commits() {
    let schema = schema().await;
    let store = store(&schema).await;
    let errand = schema.name();
    ask_all(&store, &[(errand, "start:once=mail:stay=here:do=1:by=t:in=s/2")]).await;
    stay(errand);
    let first = start(&MortalStore::new(&store, &Fate::kind()), "first").await;
    in_time(async {
        while kept(&store).await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let report = first.shutdown_within(Duration::from_millis(10)).await;
    assert_eq!(report.unfinished_handlers, ["steward"]);
    assert_eq!((made(errand), kept(&store).await), (1, 1));
    assert!(ran(&store, errand).await.is_empty());

    go_on(errand);
    inherit(&store).await;
    assert_eq!(made(errand), 1);
    check_done(&store, errand).await;
}
