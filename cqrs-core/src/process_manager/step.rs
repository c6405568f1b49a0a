//! Calling a process manager: one instance, one thing after the other, with nothing left of what fails.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::ambient::{Ambient, HandlerKey};
use crate::application::Core;
use crate::clock::Clock;
use crate::error_text::error_text;
use crate::event::{EventContext, Metadata};
use crate::handler::{Effects, HandlerRunner};
use crate::id::{CommandId, CorrelationId};
use crate::process_manager::command::{Pending, Place};
use crate::process_manager::instance::{Instance, ProcessPhase};
use crate::process_manager::process::{Cause, Wanted};
use crate::process_manager::sending::Draft;
use crate::process_manager::timer::{Timer, TimerChange};
use crate::process_manager::{
    Process, ProcessAction, ProcessError, ProcessFailure, ProcessManager, SentCommand,
};
use crate::telemetry::handler::Named;
use crate::telemetry::{self, Propagation};
use crate::user_code;

/// What a process manager is called for.
pub(crate) enum Occasion {
    /// An event; the context tells which.
    Event(EventContext),
    Deadline(Timer),
    Idle,
    /// A command was carried out, or failed.
    Command(Pending),
}

/// What a step came to.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) commands: Vec<Pending>,
    pub(crate) timers: Vec<TimerOutcome>,
    pub(crate) is_stopped: bool,
}

#[derive(Debug)]
pub(crate) enum TimerOutcome {
    Set(Box<Timer>),
    Cancel(String),
}

/// An attempt that failed, and what is to become of what it was for.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) action: ProcessAction,
    pub(crate) text: String,
    pub(crate) attempts: u32,
    pub(crate) first_failed_at: DateTime<Utc>,
    /// What `on_error` wants, unless it is tried again.
    pub(crate) outcome: Outcome,
}

impl Occasion {
    /// What its commands inherit. Being idle has no cause, and begins something new.
    fn cause(&self) -> Cause {
        match self {
            Self::Event(context) => Cause {
                causation_id: context.event_id().into(),
                correlation_id: context.correlation_id(),
                metadata: context.metadata().clone(),
            },
            Self::Deadline(timer) => Cause {
                causation_id: timer.causation_id,
                correlation_id: timer.correlation_id,
                metadata: timer.metadata.clone(),
            },
            // One that was refused has left nothing behind that could be found by its id.
            Self::Command(command) => Cause {
                causation_id: command.causation_id,
                correlation_id: command.correlation_id,
                metadata: command.metadata.clone(),
            },
            Self::Idle => Cause {
                causation_id: CommandId::new().into(),
                correlation_id: CorrelationId::new(),
                metadata: Metadata::new(),
            },
        }
    }

    /// What carries the trace that it comes from.
    pub(crate) fn metadata(&self) -> Option<&Metadata> {
        match self {
            Self::Event(context) => Some(context.metadata()),
            Self::Deadline(timer) => Some(&timer.metadata),
            Self::Command(command) => Some(&command.metadata),
            Self::Idle => None,
        }
    }

    /// Its kind, for telemetry.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Event(_) => "event",
            Self::Deadline(_) => "deadline",
            Self::Idle => "idle",
            Self::Command(_) => "command",
        }
    }

    pub(crate) fn event(&self) -> Option<&EventContext> {
        match self {
            Self::Event(context) => Some(context),
            _ => None,
        }
    }

    /// For people who look.
    fn what(&self) -> String {
        match self {
            Self::Event(context) => context.event_type().to_owned(),
            Self::Deadline(timer) => format!("deadline {}", timer.name),
            Self::Idle => "idle".to_owned(),
            Self::Command(command) => format!("command {}", command.content.name),
        }
    }

    /// What tells the ids of its commands from those of others of the instance. An event counts by its position, so that
    /// handling it once more gives the same ids, whatever came in between, and a command by its id: it may outlive the
    /// instance that counts the steps.
    fn id_part(&self, steps: u64) -> String {
        match self {
            Self::Event(context) => format!("event {}", context.position()),
            Self::Command(command) => format!("command {}", command.id),
            _ => format!("step {steps}"),
        }
    }
}

/// An attempt that is to be told to the process manager as failed.
pub(crate) struct Attempt {
    /// How many there were, this one included.
    pub(crate) number: u32,
    pub(crate) first_failed_at: Option<DateTime<Utc>>,
    /// The commands of the instance that have not been sent.
    pub(crate) pending: Vec<SentCommand>,
}

/// Calls the instances of a process manager, with what they are told about where they are.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) application: &'a str,
    pub(crate) name: &'a str,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) core: &'a Weak<Core>,
    pub(crate) effects: &'a Arc<Effects>,
    pub(crate) key: &'a HandlerKey,
    pub(crate) propagation: &'a Propagation,
    /// How long a method may take.
    pub(crate) limit: Duration,
}

impl HandlerRunner {
    pub(crate) fn caller(&self) -> Caller<'_> {
        let Self { application, name, clock, core, effects, key, propagation, .. } = self;
        let limit = self.handling_limit;
        Caller { application, name, clock: &**clock, core, effects, key, propagation, limit }
    }
}

impl Caller<'_> {
    pub(crate) fn named(&self) -> Named<'_> {
        Named { application: self.application, handler: self.name }
    }

    /// Has an instance do one step. What it did is in its state and in the outcome when it went well, and is forgotten
    /// when it did not. `events` are what an event was decoded to, each with
    /// its place among the others.
    pub(crate) async fn step<P: ProcessManager>(
        &self,
        id: &Arc<str>,
        instance: &mut Instance<P>,
        occasion: &Occasion,
        events: Vec<(u32, P::Event)>,
    ) -> Result<Outcome, ProcessError<P::Error>> {
        let mut state = instance.state.clone();
        let mut process = self.process(id, occasion);
        let ambient = self.ambient_of(&process.cause);
        let stepped = async {
            let called = Box::pin(ambient.enter(call(&mut state, occasion, events, &mut process)));
            user_code::call(self.limit, called).await?.map_err(ProcessError::Failed)?;
            if let Some(fault) = process.wanted.fault.take() {
                return Err(fault.into());
            }
            // What cannot be written down must not be sent.
            serde_json::to_writer(std::io::sink(), &state).map_err(ProcessError::Unwritable)
        };
        let span = telemetry::process_manager::span(self, id, occasion);
        telemetry::process_manager::observe(self, &span, stepped).await?;
        let Process { mut cause, wanted, .. } = process;
        self.propagation.stamp(&span, &mut cause.metadata);
        instance.state = state;
        Ok(self.keep(id, instance, occasion, &cause, wanted))
    }

    /// Asks the process manager what is to become of something that failed. An instance that is gone has a default
    /// state, of which nothing is kept.
    pub(crate) async fn fail<P: ProcessManager>(
        &self,
        id: &Arc<str>,
        instance: &mut Instance<P>,
        occasion: &Occasion,
        error: ProcessError<P::Error>,
        attempt: Attempt,
    ) -> Failed {
        let failure = self.failure(id, instance, occasion, error, attempt);
        self.decide(id, instance, occasion, &failure).await
    }

    pub(crate) fn failure<P: ProcessManager>(
        &self,
        id: &Arc<str>,
        instance: &Instance<P>,
        occasion: &Occasion,
        error: ProcessError<P::Error>,
        attempt: Attempt,
    ) -> ProcessFailure<P::Error> {
        ProcessFailure {
            error,
            instance: id.as_ref().to_owned(),
            event: occasion.event().cloned(),
            pending: attempt.pending,
            is_compensating: instance.progress.phase == ProcessPhase::Compensating,
            attempt: attempt.number,
            first_failed_at: attempt.first_failed_at.unwrap_or_else(|| self.clock.now()),
        }
    }

    /// [`Caller::fail`] for a failure that somebody looks at besides.
    pub(crate) async fn decide<P: ProcessManager>(
        &self,
        id: &Arc<str>,
        instance: &mut Instance<P>,
        occasion: &Occasion,
        failure: &ProcessFailure<P::Error>,
    ) -> Failed {
        let text = error_text(&failure.error);
        let mut state = instance.state.clone();
        let mut process = self.process(id, occasion);
        let ambient = self.ambient_of(&process.cause);
        let asked = Box::pin(ambient.enter(state.on_error(failure, &mut process)));
        let action = match user_code::call(self.limit, asked).await {
            Ok(action) => action,
            Err(cut_off) => {
                tracing::error!(cqrs.handler = self.name, cqrs.instance = &**id, "on_error {cut_off}");
                process = self.process(id, occasion);
                ProcessAction::Park
            }
        };
        let is_done =
            matches!(action, ProcessAction::Skip | ProcessAction::DiscardPending | ProcessAction::Compensate);
        let outcome = match is_done {
            true => {
                instance.state = state;
                let Process { cause, wanted, .. } = process;
                self.keep(id, instance, occasion, &cause, wanted)
            }
            false => Outcome::default(),
        };
        telemetry::process_manager::failed(self, action);
        tracing::warn!(
            cqrs.handler = self.name,
            cqrs.instance = &**id,
            cqrs.attempt = failure.attempt,
            error = text,
            action = ?action,
            "{} failed",
            occasion.what()
        );
        let ProcessFailure { attempt: attempts, first_failed_at, .. } = *failure;
        Failed { action, text, attempts, first_failed_at, outcome }
    }

    fn process(&self, id: &Arc<str>, occasion: &Occasion) -> Process {
        Process {
            instance: Arc::clone(id),
            event: occasion.event().cloned(),
            cause: occasion.cause(),
            now: self.clock.now(),
            core: self.core.clone(),
            effects: Arc::clone(self.effects),
            wanted: Wanted::default(),
        }
    }

    pub(crate) fn ambient_of(&self, cause: &Cause) -> Ambient {
        Ambient::new(cause.causation_id, cause.correlation_id, cause.metadata.clone())
            .in_handler(self.key.clone())
    }

    /// Makes commands and timers of what an instance wants.
    fn keep<P>(
        &self,
        id: &Arc<str>,
        instance: &mut Instance<P>,
        occasion: &Occasion,
        cause: &Cause,
        wanted: Wanted,
    ) -> Outcome {
        let progress = &mut instance.progress;
        progress.steps += 1;
        let part = occasion.id_part(progress.steps);
        let command = |(ordinal, draft): (usize, Draft)| {
            let mut metadata = cause.metadata.clone();
            metadata.extend(&draft.metadata);
            let key = format!("{}/{id}/{}/{part}/{ordinal}", self.name, progress.started);
            let place = Place {
                key: Pending::key(progress.position, progress.steps, ordinal, id),
                position: progress.position,
                instance: Arc::clone(id),
                started: progress.started,
            };
            let cause = Cause { metadata, ..cause.clone() };
            Pending {
                timeout_ms: draft.timeout.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
                undo: draft.undo,
                ..Pending::new(place, CommandId::from_key(&key), draft.content, cause)
            }
        };
        let commands: Vec<_> = wanted.drafts.into_iter().enumerate().map(command).collect();
        let timer = |change| match change {
            TimerChange::Cancel { name } => TimerOutcome::Cancel(name),
            TimerChange::Set { name, due_at, command } => TimerOutcome::Set(Box::new(Timer {
                instance: Arc::clone(id),
                name,
                started: progress.started,
                step: progress.steps,
                due_at,
                pattern: None,
                causation_id: cause.causation_id,
                correlation_id: cause.correlation_id,
                metadata: cause.metadata.clone(),
                command,
                attempts: 0,
                first_failed_at: None,
                stuck: None,
            })),
        };
        let timers: Vec<_> = wanted.timers.into_iter().map(timer).collect();
        progress.has_timers |= !timers.is_empty();
        let sent = commands.iter().map(|command| command.content.name.as_ref().to_owned()).collect();
        progress.note(occasion.what(), self.clock.now(), sent);
        Outcome { commands, timers, is_stopped: wanted.is_stopped }
    }
}

async fn call<P: ProcessManager>(
    state: &mut P,
    occasion: &Occasion,
    events: Vec<(u32, P::Event)>,
    process: &mut Process,
) -> Result<(), P::Error> {
    match occasion {
        Occasion::Event(_) => {
            for (ordinal, event) in events {
                process.event.iter_mut().for_each(|context| context.ordinal = ordinal);
                state.handle(event, process).await?;
            }
            Ok(())
        }
        Occasion::Deadline(timer) => state.on_deadline(&timer.name, process).await,
        Occasion::Idle => state.on_idle(process).await,
        Occasion::Command(command) => {
            state.after_command(&command.sent(), process).await;
            Ok(())
        }
    }
}
