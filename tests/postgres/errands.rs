//! Errands, and a process manager that has them run as it is asked: what tests of process managers share here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use cqrs::application::Config;
use cqrs::event::{EventContext, Metadata};
use cqrs::id::{CommandId, CorrelationId, EventId};
use cqrs::prelude::*;
use cqrs::process_manager::Role;
use cqrs::store::{Append, Direction, EventData, EventStore as _, ExpectedVersion, StreamId};
use cqrs::testing::settle;
use serde::{Deserialize, Serialize};

use crate::domain::{LIMIT, in_time};
use crate::mortal::{Fate, MortalStore};

/// What is asked of an errand: `role:act:act`.
///
/// Roles: `start`, `go`, `stop`. Acts: `do=a` sends the command `a`, `undo=a/b` as well, with `b` to undo it, `once=a`
/// makes the effect `a` once, `stay=here` goes no further as long as the test has it [`stay`], `by=name` sets a deadline
/// that is due at once, `in=name/a` schedules the command `a` for now.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "errands.Asked")]
pub struct Asked {
    pub errand: String,
    pub word: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "errands.Ran")]
pub struct Ran {
    pub what: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = ErrandRouter, aggregate = Errand, identify_by = errand)]
pub struct Run {
    pub errand: String,
    pub what: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is not to be done")]
pub struct Refused(String);

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Errand;

#[aggregate(stream_prefix = "errand", error = Refused)]
impl Errand {
    /// Whatever is called `bad` is refused.
    #[execute]
    fn run(&self, command: &Run) -> Result<Ran, Refused> {
        match command.what.as_str() {
            "bad" => Err(Refused(command.what.clone())),
            what => Ok(Ran { what: what.to_owned() }),
        }
    }

    #[apply]
    fn ran(&mut self, _event: &Ran) {}
}

#[derive(Router)]
pub struct ErrandRouter;

application! {
    pub struct House {
        routers: [ErrandRouter],
        process_managers: [Steward],
    }
}

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Steward {
    /// What was asked, and what became due.
    pub words: Vec<String>,
}

/// How often each instance has made its effect.
static MADE: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

pub fn made(instance: &str) -> usize {
    MADE.lock().unwrap().get(instance).copied().unwrap_or(0)
}

/// The instances that go no further where they are told to stay.
static STAYING: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub fn stay(instance: &str) {
    STAYING.lock().unwrap().insert(instance.to_owned());
}

pub fn go_on(instance: &str) {
    STAYING.lock().unwrap().remove(instance);
}

#[process_manager(name = "steward", interested_in = [Asked], error = Refused)]
impl Steward {
    #[on(with = interest)]
    async fn asked(&mut self, event: &Asked, process: &mut Process) -> Result<(), Refused> {
        self.words.push(event.word.clone());
        let errand = process.instance().to_owned();
        let run = |what: &str| Run { errand: errand.clone(), what: what.to_owned() };
        for act in event.word.split(':').skip(1) {
            let (verb, rest) = act.split_once('=').unwrap();
            let (first, second) = rest.split_once('/').unwrap_or((rest, ""));
            match verb {
                "do" => drop(process.send(run(first))),
                "undo" => drop(process.send(run(first)).compensate(run(second))),
                "once" => {
                    let effect = async || {
                        *MADE.lock().unwrap().entry(errand.clone()).or_default() += 1;
                        Ok::<_, Refused>(())
                    };
                    process.once(first, effect).await.map_err(|_| Refused(first.to_owned()))?;
                }
                "stay" => {
                    let stays = STAYING.lock().unwrap().contains(&errand);
                    if stays {
                        std::future::pending::<()>().await;
                    }
                }
                "by" => process.deadline_in(first, Duration::ZERO),
                "in" => process.schedule_in(first, run(second), Duration::ZERO),
                other => panic!("what is {other}?"),
            }
        }
        Ok(())
    }

    fn on_deadline(&mut self, name: &str, process: &mut Process) -> Result<(), Refused> {
        self.words.push(format!("deadline {name}"));
        process.send(Run { errand: process.instance().to_owned(), what: format!("late-{name}") });
        Ok(())
    }

    /// A command that is refused ends the process, and has undone what was done; everything else is the store's fault.
    fn on_error(&mut self, failure: &ProcessFailure<Refused>, _process: &mut Process) -> ProcessAction {
        match failure.command() {
            Some(_) => ProcessAction::Compensate,
            None => ProcessAction::Retry,
        }
    }
}

fn interest(event: &Asked, _context: &EventContext) -> Interest {
    let role = match event.word.split(':').next().unwrap() {
        "start" => Role::Start,
        "go" => Role::Continue,
        "stop" => Role::Stop,
        other => panic!("what is {other}?"),
    };
    Interest::of(role, [&event.errand])
}

/// Writes what is asked, as another program would.
pub async fn ask_all(store: &PostgresStore, words: &[(&str, &str)]) {
    for (errand, word) in words {
        let event = EventData {
            event_id: EventId::new(),
            event_type: "errands.Asked".into(),
            schema_version: 1,
            data: serde_json::json!({ "errand": errand, "word": word }).to_string().into(),
            metadata: Metadata::new(),
            causation_id: CommandId::new().into(),
            correlation_id: CorrelationId::new(),
        };
        let stream = StreamId::new(format!("asked-{errand}")).unwrap();
        let append = Append::to_stream(CommandId::new(), stream, ExpectedVersion::Any, vec![event]);
        store.append(append).await.unwrap();
    }
}

/// What was done for an errand.
pub async fn ran(store: &PostgresStore, errand: &str) -> Vec<String> {
    let stream = StreamId::new(format!("errand-{errand}")).unwrap();
    let events = store.read_stream(&stream, 1, Direction::Forward, 1_000).await.unwrap();
    events.iter().map(|event| serde_json::from_slice::<Ran>(&event.data).unwrap().what).collect()
}

/// Starts, also when the first attempt fails.
pub async fn start(store: &MortalStore<PostgresStore>, node: &str) -> House {
    let retry = Duration::from_millis(20);
    let config = Config::new().checkpoint_every(1).tail_page(3).lease_retry(retry);
    loop {
        if let Ok(house) = House::builder(store.clone()).node(node).config(config.clone()).start().await {
            return house;
        }
        // It may have got leases without hearing of it.
        store.let_leases_run_out().await;
    }
}

/// The life of a node, which ends in order when there are so many events, if it is not cut off before.
pub async fn live(store: &PostgresStore, mortal: &MortalStore<PostgresStore>, fate: Fate, events: u64) {
    let life = async {
        let house = start(mortal, "mortal").await;
        in_time(store.watch_head().wait_for(|head| *head >= events)).await.unwrap();
        house.shutdown().await;
    };
    fate.live(life).await;
}

/// Another node does what the one before has left.
pub async fn inherit(store: &PostgresStore) {
    let heir = start(&MortalStore::new(store, &Fate::kind()), "heir").await;
    settle(&heir).within(LIMIT).await;
    heir.shutdown().await;
}
