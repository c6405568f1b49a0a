//! Jobs and tasks, and a process manager that does what the words say that a job is told: what these tests share.
//!
//! Each test has a thread of its own, on which everything runs: what is broken at the moment is kept there.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::{Future, ready};
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::event::EventContext;
use cqrs::prelude::*;
use cqrs::process_manager::{ProcessInstance, ProcessManagerHandle, Role};
use cqrs::store::EventStore;
use cqrs::testing::{TestClock, settle};
use serde::{Deserialize, Serialize};

use crate::support::gate::Gate;
use crate::support::log::events_of;

/// A word for the process manager: `role:act:act`.
///
/// Roles: `start`, `start!`, `go`, `go!`, `any`, `stop`, `none`. Acts: `do=a` sends the command `a`, `undo=a/b` as well,
/// with `b` to undo it, `may=a` fails while `a` is broken, `own=a` while `a of` the instance is, `panic=a` panics then,
/// `hang=a` hangs then, `once=a` makes the effect `a` once, `wait` waits at the test's [`gate`], `by=name/1000` sets a
/// deadline in milliseconds, `in=name/1000/a` schedules a command, `cancel=name`, `end`.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "jobs.Told")]
pub struct Told {
    /// Several are separated by `+`.
    pub job: String,
    pub word: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "jobs.Done")]
pub struct Done {
    pub task: String,
    pub what: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = JobRouter, aggregate = Job, identify_by = job)]
pub struct Tell {
    pub job: String,
    pub word: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[command(router = JobRouter, aggregate = Task, identify_by = task)]
pub struct Do {
    pub task: String,
    pub what: String,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Job;

#[aggregate(stream_prefix = "job")]
impl Job {
    #[execute]
    fn tell(&self, command: &Tell) -> Told {
        Told { job: command.job.clone(), word: command.word.clone() }
    }

    #[apply]
    fn told(&mut self, _event: &Told) {}
}

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Task;

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is broken")]
pub struct Broken(pub String);

#[aggregate(stream_prefix = "task", error = Broken)]
impl Task {
    #[execute]
    fn run(&self, command: &Do) -> Result<Done, Broken> {
        works(&command.what)?;
        Ok(Done { task: command.task.clone(), what: command.what.clone() })
    }

    #[apply]
    fn done(&mut self, _event: &Done) {}
}

#[derive(Router)]
pub struct JobRouter;

application! {
    pub struct Jobs {
        routers: [JobRouter],
        process_managers: [Foreman],
    }
}

type OnError = dyn Fn(&ProcessFailure<Broken>, &mut Process) -> ProcessAction;

thread_local! {
    static FAULTS: RefCell<HashSet<String>> = RefCell::default();
    static ON_ERROR: RefCell<Option<Box<OnError>>> = RefCell::default();
    static SEEN: RefCell<Vec<String>> = RefCell::default();
    static GATE: RefCell<Gate> = RefCell::default();
}

/// A gate that is shut, at which instances wait that are told so.
pub fn gate() -> Gate {
    let gate = Gate::shut();
    GATE.set(gate.clone());
    gate
}

pub fn break_it(what: &str) {
    FAULTS.with_borrow_mut(|faults| faults.insert(what.to_owned()));
}

pub fn mend(what: &str) {
    FAULTS.with_borrow_mut(|faults| faults.remove(what));
}

fn works(what: &str) -> Result<(), Broken> {
    let is_broken = FAULTS.with_borrow(|faults| faults.contains(what));
    if is_broken { Err(Broken(what.to_owned())) } else { Ok(()) }
}

/// What becomes of failures in this test.
pub fn on_error(decide: impl Fn(&ProcessFailure<Broken>, &mut Process) -> ProcessAction + 'static) {
    ON_ERROR.with_borrow_mut(|on_error| *on_error = Some(Box::new(decide)));
}

fn see(what: String) {
    SEEN.with_borrow_mut(|seen| seen.push(what));
}

/// What the process manager was called for since this was asked last.
pub fn seen() -> Vec<String> {
    SEEN.take()
}

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Foreman {
    /// The words that it was told.
    pub words: Vec<String>,
}

#[process_manager(name = "foreman", interested_in = [Told], consistency = strong, error = Broken)]
impl Foreman {
    #[on(with = interest)]
    async fn told(&mut self, event: &Told, process: &mut Process) -> Result<(), Broken> {
        see(format!("{} {}", process.instance(), event.word));
        self.words.push(event.word.clone());
        for act in event.word.split(':').skip(1) {
            self.act(act, process).await?;
        }
        Ok(())
    }

    fn on_deadline(&mut self, name: &str, process: &mut Process) -> Result<(), Broken> {
        see(format!("{} deadline {name}", process.instance()));
        works(name)?;
        self.words.push(format!("deadline {name}"));
        process.send(task(process.instance(), &format!("late-{name}")));
        Ok(())
    }

    fn after_command(&mut self, command: &SentCommand, process: &mut Process) {
        let Some(Do { what, .. }) = command.command() else { return };
        see(format!("{} after {what}", process.instance()));
        if what.starts_with("last") {
            process.stop();
        }
    }

    fn on_error(&mut self, failure: &ProcessFailure<Broken>, process: &mut Process) -> ProcessAction {
        ON_ERROR.with_borrow(|on_error| match on_error {
            Some(decide) => decide(failure, process),
            None => ProcessAction::Park,
        })
    }

    async fn act(&mut self, act: &str, process: &mut Process) -> Result<(), Broken> {
        let (verb, rest) = act.split_once('=').unwrap_or((act, ""));
        let mut parts = rest.split('/');
        let mut next = || parts.next().unwrap_or_default().to_owned();
        let instance = process.instance().to_owned();
        match verb {
            "do" => drop(process.send(task(&instance, &next()))),
            "undo" => {
                let (what, undo) = (next(), next());
                process.send(task(&instance, &what)).compensate(task(&instance, &undo));
            }
            "may" => works(&next())?,
            "own" => works(&format!("{} of {instance}", next()))?,
            "once" => {
                let what = next();
                let effect = || {
                    see(format!("{instance} once {what}"));
                    ready(Ok::<_, Broken>(()))
                };
                process.once(&what, effect).await.unwrap();
            }
            "panic" => works(&next()).unwrap(),
            "hang" if works(&next()).is_err() => std::future::pending().await,
            "hang" => {}
            "by" => process.deadline_in(next(), millis(&next())),
            "in" => {
                let (name, time, what) = (next(), next(), next());
                process.schedule_in(name, task(&instance, &what), millis(&time));
            }
            "cancel" => process.cancel(next()),
            "wait" => {
                let gate = GATE.with_borrow(Gate::clone);
                gate.pass().await;
            }
            "end" => process.stop(),
            other => panic!("what is {other}?"),
        }
        Ok(())
    }
}

fn millis(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap())
}

pub fn interest(event: &Told, _context: &EventContext) -> Interest {
    let role = match event.word.split(':').next().unwrap() {
        "start" => Role::Start,
        "start!" => Role::StartStrict,
        "go" => Role::Continue,
        "go!" => Role::ContinueStrict,
        "any" => Role::StartOrContinue,
        "stop" => Role::Stop,
        "none" => return Interest::none(),
        "explode" => {
            works("interest").unwrap();
            Role::StartOrContinue
        }
        other => panic!("what is {other}?"),
    };
    Interest::of(role, event.job.split('+'))
}

fn task(instance: &str, what: &str) -> Do {
    Do { task: instance.to_owned(), what: what.to_owned() }
}

pub fn tell(job: &str, word: &str) -> Tell {
    Tell { job: job.to_owned(), word: word.to_owned() }
}

/// An application, and what it runs on.
pub struct Site {
    pub store: MemoryStore,
    pub clock: TestClock,
    pub jobs: Jobs,
}

impl Site {
    pub async fn new() -> Self {
        Self::on(MemoryStore::new(), TestClock::new()).await
    }

    pub async fn on(store: MemoryStore, clock: TestClock) -> Self {
        let config = Config::new().max_parked(20);
        let jobs = Jobs::builder(store.clone()).clock(clock.clone()).config(config).start().await.unwrap();
        Self { store, clock, jobs }
    }

    /// Stops the application, and starts it again.
    pub async fn restart(self) -> Self {
        assert!(self.jobs.shutdown().await.is_clean());
        Self::on(self.store, self.clock).await
    }

    pub async fn tell(&self, job: &str, word: &str) {
        self.jobs.dispatch(tell(job, word)).await.unwrap();
    }

    /// Tells a job something, and waits until all that came of it is done.
    pub async fn tell_all(&self, words: &[(&str, &str)]) {
        for (job, word) in words {
            self.tell(job, word).await;
        }
        self.settle().await;
    }

    pub async fn settle(&self) {
        settle(&self.jobs).within(LIMIT).await;
    }

    /// What was done for a job.
    pub async fn done(&self, job: &str) -> Vec<String> {
        done(&self.store, job).await
    }

    pub fn foreman(&self) -> ProcessManagerHandle<'_> {
        self.jobs.process_manager("foreman").unwrap()
    }

    pub async fn instance(&self, job: &str) -> Option<ProcessInstance> {
        self.foreman().instance(job).await.unwrap()
    }

    /// The words that an instance knows.
    pub async fn words(&self, job: &str) -> Option<Vec<String>> {
        let instance = self.instance(job).await?;
        let foreman: Foreman = serde_json::from_value(instance.state).unwrap();
        Some(foreman.words)
    }

    pub async fn stuck(&self) -> Vec<String> {
        let pending = self.foreman().pending_commands(None, 1_000).await.unwrap();
        let stuck = pending
            .into_iter()
            .filter_map(|command| Some(format!("{}: {}", command.instance, command.stuck?)));
        stuck.collect()
    }

    /// Waits until the clock has been waited for and what is due by then is done.
    pub async fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }
}

pub async fn done(store: &impl EventStore, job: &str) -> Vec<String> {
    let events = events_of(store, &format!("task-{job}")).await;
    let what = |data: &[u8]| serde_json::from_slice::<Done>(data).unwrap().what;
    events.iter().map(|event| what(&event.data)).collect()
}

pub const LIMIT: Duration = Duration::from_secs(20);

/// Asks until there is an answer.
pub async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    soon(asked).await
}

#[track_caller]
pub fn soon<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(LIMIT, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing happened within {LIMIT:?}, awaited at {place}"),
        }
    }
}
