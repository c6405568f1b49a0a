//! What happens to an instance in a scenario, as it does in an application.

use std::panic::Location;

use chrono::{DateTime, Utc};

use crate::application::Config;
use crate::clock::Clock as _;
use crate::dispatch::{DispatchError, Rejection};
use crate::event::{DecodeError, Decoded, EventContext, decode};
use crate::process_manager::{
    Admitted, Attempt, Caller, Failed, Instance, Occasion, Pending, ProcessAction, ProcessError,
    ProcessManager, ProcessPhase, Role, StepOutcome, Timer, TimerOutcome, Undo, admit, invalid_instance,
    is_transient,
};
use crate::store::{EventFilter, RecordedEvent};
use crate::testing::GivenProcess;
use crate::testing::scene::{APPLICATION, Scene, registry_of};

/// What a step came to.
pub(crate) enum Outcome<E> {
    Done,
    /// The event was not for the instance.
    PassedBy,
    /// There is no action for what failed behind a command that was carried out: nobody is asked.
    Failed {
        error: ProcessError<E>,
        action: Option<ProcessAction>,
    },
}

/// Events for the instance, and what each does to it.
type Routed<P> = Vec<(Role, <P as ProcessManager>::Event)>;

/// How much may come while time passes: a deadline that always sets itself anew would never end.
const MANY: usize = 10_000;

impl<P: ProcessManager> GivenProcess<P> {
    /// An event comes.
    pub(super) async fn deliver(&mut self, event: RecordedEvent) -> Outcome<P::Error> {
        let number = self.attempt.take().unwrap_or(1);
        let context = self.scene.context(&event, number);
        let routed = self.route(&event, &context);
        let occasion = Occasion::Event(context);
        let mut instance = self.instance.clone();
        let admitted = routed.and_then(|events| admit(&mut instance, &events, event.position));
        let error = match (admitted, instance) {
            (Ok(Admitted { wanted, ends }), Some(mut instance)) => {
                if wanted.is_empty() || instance.progress.phase == ProcessPhase::Compensating {
                    return Outcome::PassedBy;
                }
                instance.progress.position = event.position;
                match self.caller().step(&self.id, &mut instance, &occasion, wanted).await {
                    Ok(mut outcome) => {
                        outcome.is_stopped |= ends;
                        self.take_over(Some(instance), outcome);
                        return Outcome::Done;
                    }
                    Err(error) => error,
                }
            }
            (Ok(_), None) => return Outcome::PassedBy,
            (Err(error), _) => error,
        };
        let is_known = self.instance.is_some();
        let subject = self.instance.take().unwrap_or_else(|| Box::new(Instance::begin(event.position)));
        self.fail(subject, is_known, occasion, error, number).await
    }

    /// What the event was decoded to, as far as it is for the instance.
    fn route(
        &self,
        event: &RecordedEvent,
        context: &EventContext,
    ) -> Result<Routed<P>, ProcessError<P::Error>> {
        let registry = registry_of::<P::Event>();
        let (mut routed, mut invalid) = (Vec::new(), None);
        if !P::SUBSCRIBE_TO.filter(EventFilter::types(registry.stored_names_of::<P::Event>())).passes(event) {
            return Ok(routed);
        }
        let decoded = decode::<P::Event, DecodeError>(&registry, event, |decoded| {
            if let Decoded::Event(typed) = decoded {
                let interest = P::interest(&typed, context);
                invalid = invalid.take().or(invalid_instance(interest.instances.iter().map(String::as_str)));
                if interest.instances.iter().any(|instance| **instance == *self.id) {
                    routed.push((interest.role, typed));
                }
            }
            Ok(())
        });
        decoded.map_err(ProcessError::Undecodable)?;
        match invalid {
            Some(instance) => Err(ProcessError::InvalidInstance { instance }),
            None => Ok(routed),
        }
    }

    /// The first command that waits is carried out.
    pub(super) async fn carry_out(&mut self) -> Outcome<P::Error> {
        let Some(command) = self.waiting.pop_front() else { return Outcome::Done };
        let Some(mut instance) = self.take_sender(&command) else { return Outcome::Done };
        let undo = Undo::of(&command);
        if instance.progress.phase == ProcessPhase::Compensating {
            if let Some(undo) = undo {
                let command = undo.pending(P::NAME, &self.id, &instance.progress, command.key);
                self.sent.push(command.sent());
                self.waiting.push_front(command);
            }
            self.keep(instance);
            return Outcome::Done;
        }
        instance.progress.undo.extend(undo);
        if P::AFTER_COMMAND {
            let occasion = Occasion::Command(command);
            match self.caller().step(&self.id, &mut instance, &occasion, Vec::new()).await {
                Ok(outcome) => self.take_over(Some(instance), outcome),
                Err(error) => {
                    self.keep(instance);
                    return Outcome::Failed { error, action: None };
                }
            }
        } else {
            self.keep(instance);
        }
        Outcome::Done
    }

    /// The first command that waits fails.
    pub(super) async fn refuse(&mut self, error: DispatchError<Rejection>) -> Outcome<P::Error> {
        if is_transient(&error) {
            return Outcome::Done;
        }
        let Some(mut command) = self.waiting.pop_front() else { return Outcome::Done };
        let number = self.attempt.take().unwrap_or(command.attempts.saturating_add(1));
        let sender = self.take_sender(&command);
        let is_known = sender.is_some();
        let subject = sender.unwrap_or_else(|| Box::new(Instance::begin(command.started)));
        let error = ProcessError::Command { command: Box::new(command.sent()), source: Box::new(error) };
        let outcome = self.fail(subject, is_known, Occasion::Command(command.clone()), error, number).await;
        if self.decided.is_some_and(is_open) {
            command.attempts = number;
            self.waiting.push_front(command);
        }
        self.end_if_back();
        outcome
    }

    /// Time passes.
    pub(super) async fn pass_time(
        &mut self,
        until: DateTime<Utc>,
        at: &'static Location<'static>,
    ) -> Outcome<P::Error> {
        for _ in 0..MANY {
            let timer = self.timers.values().min_by_key(|timer| timer.due_at);
            let timer = timer.filter(|timer| timer.due_at <= until).cloned();
            let idle_at = self.idle_at().filter(|at| *at <= until);
            let (outcome, is_idle) = match (timer, idle_at) {
                (Some(timer), idle_at) if idle_at.is_none_or(|at| timer.due_at <= at) => {
                    self.clock.set(timer.due_at.max(self.clock.now()));
                    (self.fire(timer).await, false)
                }
                (_, Some(at)) => {
                    self.clock.set(at.max(self.clock.now()));
                    (self.tell_idle().await, true)
                }
                (_, None) => {
                    self.clock.set(until);
                    return Outcome::Done;
                }
            };
            if is_idle {
                // It is told again after as much time, however it went.
                self.changed_at = self.clock.now();
            }
            if let Outcome::Failed { .. } = outcome {
                return outcome;
            }
        }
        panic!("{at}: more than {MANY} deadlines and idle timeouts came before {until}");
    }

    async fn fire(&mut self, timer: Timer) -> Outcome<P::Error> {
        self.timers.remove(&timer.name);
        let position = self.instance.as_ref().map_or(0, |instance| instance.progress.position);
        if let Some(command) = timer.pending(P::NAME, position) {
            self.sent.push(command.sent());
            self.waiting.push_back(command);
            return Outcome::Done;
        }
        let is_its = |instance: &Instance<P>| {
            instance.progress.started == timer.started && instance.progress.phase == ProcessPhase::Running
        };
        let Some(before) = self.instance.take_if(|instance| is_its(instance)) else { return Outcome::Done };
        let number = self.attempt.take().unwrap_or(timer.attempts.saturating_add(1));
        let outcome = self.step(before, Occasion::Deadline(timer.clone()), number).await;
        if let Some(action) = self.decided.filter(|action| is_open(*action)) {
            let delay = match action {
                ProcessAction::RetryAfter(delay) => chrono::Duration::from_std(delay).ok(),
                _ => None,
            };
            let due_at = delay.and_then(|delay| self.clock.now().checked_add_signed(delay));
            let due_at = due_at.unwrap_or(timer.due_at);
            if action != ProcessAction::Park {
                let again = Timer { due_at, attempts: number, ..timer };
                self.timers.insert(again.name.clone(), again);
            }
        }
        outcome
    }

    async fn tell_idle(&mut self) -> Outcome<P::Error> {
        let Some(before) = self.instance.take() else { return Outcome::Done };
        let number = self.attempt.take().unwrap_or(1);
        self.step(before, Occasion::Idle, number).await
    }

    /// Has an instance do something that is not about an event.
    async fn step(&mut self, before: Box<Instance<P>>, occasion: Occasion, number: u32) -> Outcome<P::Error> {
        let mut instance = before.clone();
        match self.caller().step(&self.id, &mut instance, &occasion, Vec::new()).await {
            Ok(outcome) => {
                self.take_over(Some(instance), outcome);
                Outcome::Done
            }
            Err(error) => self.fail(before, true, occasion, error, number).await,
        }
    }

    /// When the instance is told that it is idle.
    fn idle_at(&self) -> Option<DateTime<Utc>> {
        let instance = self.instance.as_ref()?;
        let idle = P::IDLE_TIMEOUT.filter(|_| instance.progress.phase == ProcessPhase::Running)?;
        self.changed_at.checked_add_signed(chrono::Duration::from_std(idle).ok()?)
    }

    /// Something has failed, and the instance decides what is to become of it; one that is not known is nobody's.
    async fn fail(
        &mut self,
        mut subject: Box<Instance<P>>,
        is_known: bool,
        occasion: Occasion,
        error: ProcessError<P::Error>,
        number: u32,
    ) -> Outcome<P::Error> {
        let started = subject.progress.started;
        let pending = self.waiting.iter().filter(|command| command.started == started);
        let pending = pending.map(Pending::sent).collect();
        let attempt = Attempt { number, first_failed_at: None, pending };
        let caller = self.caller();
        let failure = caller.failure(&self.id, &subject, &occasion, error, attempt);
        let is_back = failure.is_compensating;
        let Failed { action, outcome, .. } = caller.decide(&self.id, &mut subject, &occasion, &failure).await;
        let action = match action {
            ProcessAction::Compensate if !is_known || is_back => ProcessAction::Park,
            action => action,
        };
        match action {
            ProcessAction::Compensate => self.compensate(subject, outcome.commands),
            _ if is_open(action) => self.instance = is_known.then_some(subject).or(self.instance.take()),
            _ => {
                if action == ProcessAction::DiscardPending {
                    self.waiting.retain(|command| command.started != started);
                }
                self.take_over(is_known.then_some(subject), outcome);
            }
        }
        self.decided = Some(action);
        Outcome::Failed { error: failure.error, action: Some(action) }
    }

    /// Has the instance go back: what undoes its commands is sent, the last one first, and then `last`.
    fn compensate(&mut self, mut instance: Box<Instance<P>>, last: Vec<Pending>) {
        self.waiting.retain(|command| command.started != instance.progress.started);
        instance.progress.phase = ProcessPhase::Compensating;
        let undo = instance.progress.go_back(P::NAME, &self.id);
        let last = last.into_iter().map(|command| Pending { is_compensating: true, ..command });
        self.send(undo.into_iter().chain(last));
        self.keep(instance);
    }

    fn send(&mut self, commands: impl IntoIterator<Item = Pending>) {
        for command in commands {
            self.sent.push(command.sent());
            self.waiting.push_back(command);
        }
    }

    /// Takes over what a step has come to.
    fn take_over(&mut self, instance: Option<Box<Instance<P>>>, outcome: StepOutcome) {
        self.send(outcome.commands);
        let Some(instance) = instance else { return };
        for timer in outcome.timers {
            match timer {
                TimerOutcome::Set(timer) => drop(self.timers.insert(timer.name.clone(), *timer)),
                TimerOutcome::Cancel(name) => drop(self.timers.remove(&name)),
            }
        }
        match outcome.is_stopped {
            true => self.end(),
            false => self.keep(instance),
        }
    }

    fn keep(&mut self, instance: Box<Instance<P>>) {
        self.changed_at = self.clock.now();
        self.instance = Some(instance);
        self.end_if_back();
    }

    /// An instance that goes back is gone when it has no more commands.
    fn end_if_back(&mut self) {
        let is_back = |instance: &Instance<P>| instance.progress.phase == ProcessPhase::Compensating;
        if self.waiting.is_empty() && self.instance.as_deref().is_some_and(is_back) {
            self.end();
        }
    }

    fn end(&mut self) {
        self.instance = None;
        self.timers.clear();
    }

    /// The instance that sent a command, unless that one has ended.
    fn take_sender(&mut self, command: &Pending) -> Option<Box<Instance<P>>> {
        self.instance.take_if(|instance| instance.progress.started == command.started)
    }

    fn caller(&self) -> Caller<'_> {
        let Scene { core, effects, key, propagation } = &self.scene;
        Caller {
            application: APPLICATION,
            name: &key.name,
            clock: &self.clock,
            core,
            effects,
            key,
            propagation,
            limit: Config::default().handling_limit,
        }
    }
}

/// Whether what has failed is not over.
fn is_open(action: ProcessAction) -> bool {
    matches!(
        action,
        ProcessAction::Retry | ProcessAction::RetryAfter(_) | ProcessAction::Park | ProcessAction::Stop
    )
}
