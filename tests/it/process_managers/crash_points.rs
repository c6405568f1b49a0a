//! A process manager that is cut off at each step that it takes, one after the other: it always comes to the same.

use std::cell::RefCell;
use std::time::Duration;

use super::domain::*;
use crate::support::log::{raw, sound_log, write};
use crate::support::mortal::{Fate, MortalStore, each_death};
use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use cqrs::testing::{TestClock, settle};
use serde_json::json;

/// What the jobs are told: one goes on and meets a deadline, one goes back, one ends.
const WORDS: [(&str, &str); 6] = [
    ("a", "start:undo=1/-1:do=2:by=t/0"),
    ("b", "start:undo=1/-1:undo=2/-2:do=bad"),
    ("c", "start!:do=1"),
    ("a", "go!:do=3:in=s/0/4"),
    ("c", "stop:do=2"),
    ("c", "start!:do=3"),
];

async fn check_all(store: &MemoryStore, jobs: &Jobs, fate: &Fate) {
    let mut of_a = done(store, "a").await;
    of_a.sort_unstable();
    assert_eq!(of_a, ["1", "2", "3", "4", "late-t"], "{fate:?}");
    assert_eq!(done(store, "b").await, ["1", "2", "-2", "-1"], "{fate:?}");
    assert_eq!(done(store, "c").await, ["1", "2", "3"], "{fate:?}");
    let foreman = jobs.process_manager("foreman").unwrap();
    until(async || foreman.pending_commands(None, 10).await.unwrap().is_empty().then_some(())).await;
    let instances = foreman.instances(None, 10).await.unwrap();
    let left: Vec<_> = instances.into_iter().map(|instance| instance.instance).collect();
    assert_eq!(left, ["a", "c"], "{fate:?}");
    assert!(foreman.timers(None, 10).await.unwrap().is_empty());
    sound_log(store).await;
}

/// Everything that came of the words, and of what was due.
async fn settle_all(jobs: &Jobs) {
    let foreman = jobs.process_manager("foreman").unwrap();
    settle(jobs).within(LIMIT).await;
    until(async || foreman.timers(None, 10).await.unwrap().is_empty().then_some(())).await;
    settle(jobs).within(LIMIT).await;
}

#[tokio::test]
async fn g_007_t_376_t_391_whatever_step_it_is_cut_off_at_each_command_is_carried_out_once() {
    break_it("bad");
    on_error(|_, _| ProcessAction::Compensate);
    let steps = each_death(async |fate| {
        let clock = TestClock::new();
        let store = MemoryStore::builder().clock(std::sync::Arc::new(clock.clone())).build();
        for (job, word) in WORDS {
            let told = raw("jobs.Told", 1, &json!({ "job": job, "word": word }));
            write(&store, &format!("job-{job}"), vec![told]).await;
        }
        let mortal = MortalStore::new(&store, &fate);
        let life = async {
            let jobs = Jobs::builder(mortal).node("mortal").clock(clock.clone()).start().await.unwrap();
            settle_all(&jobs).await;
        };
        fate.live(life).await;
        // Long enough for the next one to take over.
        clock.advance(Duration::from_secs(3_600));
        let jobs = Jobs::builder(store.clone()).clock(clock.clone()).start().await.unwrap();
        settle_all(&jobs).await;
        check_all(&store, &jobs, &fate).await;
    });
    let steps = steps.await;
    assert!(steps > 100, "there were {steps} steps only");
}

/// A process that is cut off while it does three things, and is to go back.
struct GivenUp {
    store: MemoryStore,
    clock: TestClock,
}

impl GivenUp {
    async fn after(fate: &Fate) -> Self {
        let clock = TestClock::new();
        let store = MemoryStore::builder().clock(std::sync::Arc::new(clock.clone())).build();
        let site = Self { store, clock };
        site.tell("start:undo=1/-1:undo=2/-2:undo=3/-3").await;
        site.live("first", fate).await;
        // The first thing that the next one comes to.
        site.tell("go:may=bad").await;
        site
    }

    async fn tell(&self, word: &str) {
        let told = raw("jobs.Told", 1, &json!({ "job": "a", "word": word }));
        write(&self.store, "job-a", vec![told]).await;
    }

    async fn live(&self, node: &str, fate: &Fate) {
        let mortal = MortalStore::new(&self.store, fate);
        let life = async {
            let jobs = Jobs::builder(mortal).node(node).clock(self.clock.clone()).start().await.unwrap();
            settle(&jobs).within(LIMIT).await;
        };
        fate.live(life).await;
        // Long enough for the next one to take over.
        self.clock.advance(Duration::from_secs(3_600));
    }

    /// What was done when it has gone back.
    async fn done(&self) -> Vec<String> {
        self.live("last", &Fate::kind()).await;
        let kept = self.store.records("foreman", "instance", None, 1).await.unwrap();
        assert!(kept.is_empty(), "{kept:?}");
        sound_log(&self.store).await;
        done(&self.store, "a").await
    }

    /// How many commands are not known to be carried out.
    async fn pending(&self) -> usize {
        self.store.records("foreman", "command", None, 10).await.unwrap().len()
    }
}

#[tokio::test]
async fn t_383_what_was_carried_out_is_undone_even_if_that_was_not_written() {
    break_it("bad");
    on_error(|_, _| ProcessAction::Compensate);
    let unwritten = RefCell::new(None);
    let steps = each_death(async |fate| {
        let site = GivenUp::after(&fate).await;
        let carried_out = done(&site.store, "a").await.len();
        if carried_out == 3 && site.pending().await == 3 {
            unwritten.replace(Some(Fate::from(&fate)));
        }
        let all = site.done().await;
        let (there, back) = all.split_at(all.len() / 2);
        assert!(there.len() >= carried_out, "{all:?} with {fate:?}");
        assert_eq!(there, &["1", "2", "3"][..there.len()], "{fate:?}");
        assert_eq!(back, &["-3", "-2", "-1"][3 - there.len()..], "{fate:?}");
    });
    let steps = steps.await;
    assert!(steps > 20, "there were {steps} steps only");
    // While it goes back it is cut off once more.
    let unwritten = unwritten.into_inner().expect("it was cut off before anything was written");
    let steps = each_death(async |fate| {
        let site = GivenUp::after(&Fate::from(&unwritten)).await;
        site.live("second", &fate).await;
        assert_eq!(site.done().await, ["1", "2", "3", "-3", "-2", "-1"], "{fate:?}");
    });
    let steps = steps.await;
    assert!(steps > 20, "there were {steps} steps only");
}
