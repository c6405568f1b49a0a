//! What comes of commands: those that were carried out are done with, those that were not are told to the process
//! manager.

use std::sync::Arc;
use std::time::Duration;

use crate::aggregate::ReplayError;
use crate::dispatch::{DispatchError, Rejection};
use crate::error_text::error_text;
use crate::handler::{End, HandlerRunner, HandlerState, Tenure, storable};
use crate::process_manager::command::{COMMAND, Pending};
use crate::process_manager::instance::{Instance, Known, ProcessPhase, Undo};
use crate::process_manager::manage::Managing;
use crate::process_manager::outbox::Landed;
use crate::process_manager::step::{Attempt, Occasion};
use crate::process_manager::{ProcessAction, ProcessError, ProcessManager};
use crate::schedule::TIMES_SET_ASIDE;
use crate::store::AppendError;

/// Between two attempts at a command while the store does not answer, which is not the command's fault.
const STORE_PAUSE: Duration = Duration::from_secs(1);

impl<P: ProcessManager> Managing<P> {
    /// Does what is to be done about commands that have come to their end.
    pub(crate) async fn settle(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        let landed = self.outbox.take_landed();
        if landed.is_empty() {
            return Ok(());
        }
        self.make_room();
        let needed = landed.iter().filter(|landed| self.needs_instance(landed));
        let needed: Vec<_> = needed.map(|landed| Arc::clone(&landed.instance)).collect();
        self.know(runner, needed, tenure).await?;
        for Landed { instance, result } in landed {
            match result {
                Ok(()) => self.carried_out(runner, &instance, tenure).await?,
                Err(error) if is_transient(&error) => {
                    tracing::warn!(
                        cqrs.handler = &*runner.name,
                        cqrs.instance = &*instance,
                        error = &error as &dyn std::error::Error,
                        "a command could not be carried out for now, trying again"
                    );
                    self.outbox.send_again(&instance, STORE_PAUSE);
                }
                Err(error) => self.refused(runner, &instance, error, tenure).await?,
            }
        }
        Ok(())
    }

    /// Whether the instance takes notice of what came of its command.
    fn needs_instance(&mut self, landed: &Landed) -> bool {
        let first = self.outbox.first(&landed.instance);
        let is_plain = first.is_none_or(|command| command.undo.is_none() && !command.is_compensating);
        landed.result.is_err() || P::AFTER_COMMAND || !is_plain
    }

    async fn carried_out(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        tenure: &Tenure,
    ) -> Result<(), End> {
        let Some(command) = self.outbox.first(id).cloned() else { return Ok(()) };
        let undo = Undo::of(&command);
        if !self.instances.knows(id) {
            self.done_with(id);
            return Ok(());
        }
        let mut instance = match self.instances.take(id) {
            Known::Present(instance) if instance.progress.started == command.started => instance,
            other => {
                self.instances.put(Arc::clone(id), other);
                self.done_with(id);
                return self.end_if_back(runner, id, tenure).await;
            }
        };
        if instance.progress.phase == ProcessPhase::Compensating {
            return self.go_on_back(runner, id, instance, undo, tenure).await;
        }
        let changes = undo.is_some();
        instance.progress.undo.extend(undo);
        self.done_with(id);
        if P::AFTER_COMMAND {
            let occasion = Occasion::Command(command);
            match runner.caller().step(id, &mut instance, &occasion, Vec::new()).await {
                Ok(outcome) => {
                    return self.take_over(runner, id, Known::Present(instance), outcome, tenure).await;
                }
                Err(error) => tracing::error!(
                    cqrs.handler = &*runner.name,
                    cqrs.instance = &**id,
                    error = error_text(&error),
                    "after_command failed"
                ),
            }
        }
        match changes {
            true => self.keep(runner, id, instance),
            false => self.instances.put(Arc::clone(id), Known::Present(instance)),
        }
        Ok(())
    }

    /// A command of an instance that goes back was carried out: an earlier one, which is to be undone as well, or one
    /// that undoes another. With the last one the instance is gone.
    async fn go_on_back(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        instance: Box<Instance<P>>,
        undo: Option<Undo>,
        tenure: &Tenure,
    ) -> Result<(), End> {
        if let Some(undo) = undo {
            let key = self.outbox.key_of_undo(id);
            let command = undo.pending(&runner.name, id, &instance.progress, key);
            let record = command.record();
            if let Some(undone) = self.outbox.undo_first(id, command) {
                self.change(|changes| changes.remove(COMMAND, undone.key).put(record));
            }
            self.instances.put(Arc::clone(id), Known::Present(instance));
            return Ok(());
        }
        self.done_with(id);
        self.instances.put(Arc::clone(id), Known::Present(instance));
        self.end_if_back(runner, id, tenure).await
    }

    /// An instance that goes back is gone when it has no more commands.
    pub(crate) async fn end_if_back(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        tenure: &Tenure,
    ) -> Result<(), End> {
        let Some(progress) = self.instances.progress(id) else { return Ok(()) };
        let is_its = |command: &Pending| command.instance == *id && command.started == progress.started;
        let has_more = self.outbox.of(id).chain(&self.staged).any(is_its);
        if has_more || progress.phase != ProcessPhase::Compensating {
            return Ok(());
        }
        let has_timers = progress.has_timers;
        self.end(runner, id, has_timers, tenure).await
    }

    /// The first command of an instance is settled.
    fn done_with(&mut self, id: &str) {
        if let Some(command) = self.outbox.pop(id) {
            self.change(|changes| changes.remove(COMMAND, command.key));
        }
    }

    async fn refused(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        error: DispatchError<Rejection>,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let Some(command) = self.outbox.first(id).cloned() else { return Ok(()) };
        if matches!(error, DispatchError::Rejected(_)) {
            self.outbox.refused(id);
            let unsent = self.outbox.discard_from_before(id);
            self.drop_commands(unsent);
        }
        let (mut subject, other) = match self.instances.take(id) {
            Known::Present(instance) if instance.progress.started == command.started => (instance, None),
            other => (Box::new(Instance::gone(self.latest_of_its(&command))), Some(other)),
        };
        let is_known = other.is_none();
        let attempt = Attempt {
            number: command.attempts.saturating_add(1),
            first_failed_at: command.first_failed_at,
            pending: self.outbox.unsent(id, command.started),
        };
        let sent = Box::new(command.sent());
        let error = ProcessError::Command { command: sent, source: Box::new(error) };
        let occasion = Occasion::Command(command.clone());
        let failed = runner.caller().fail(id, &mut subject, &occasion, error, attempt).await;
        let is_back = subject.progress.phase == ProcessPhase::Compensating;
        let action = match failed.action {
            ProcessAction::Compensate if !is_known || is_back => ProcessAction::Park,
            action => action,
        };
        if let Some(first) = self.outbox.first(id) {
            (first.attempts, first.first_failed_at) = (failed.attempts, Some(failed.first_failed_at));
        }
        match action {
            ProcessAction::Retry => self.outbox.send_again(id, Duration::ZERO),
            ProcessAction::RetryAfter(delay) => self.outbox.send_again(id, delay),
            ProcessAction::Skip | ProcessAction::DiscardPending => {
                self.done_with(id);
                // The next one goes when this is written: one behind a refused one is known not to have been sent.
                self.is_urgent = true;
                if action == ProcessAction::DiscardPending {
                    self.discard(id, command.started);
                }
                let known = other.unwrap_or(Known::Present(subject));
                self.take_over(runner, id, known, failed.outcome, tenure).await?;
                return self.end_if_back(runner, id, tenure).await;
            }
            ProcessAction::Compensate => {
                self.done_with(id);
                return self.compensate(runner, id, subject, failed.outcome.commands, tenure).await;
            }
            ProcessAction::Park => self.set_aside(runner, id, failed.text),
            ProcessAction::Stop => {
                self.is_broken = true;
                runner.set_failure(HandlerState::Failed, &failed.text);
                return Err(End::Failed);
            }
        }
        self.instances.put(Arc::clone(id), other.unwrap_or(Known::Present(subject)));
        // What it dropped may have been all that an instance of this identity had left that goes back.
        self.end_if_back(runner, id, tenure).await
    }

    /// The last command that the same instance has sent, as far as they are not carried out.
    fn latest_of_its<'a>(&'a self, command: &'a Pending) -> &'a Pending {
        let is_its =
            |other: &&Pending| other.instance == command.instance && other.started == command.started;
        let sent = self.outbox.of(&command.instance).chain(&self.staged).filter(is_its);
        sent.max_by(|one, other| one.key.cmp(&other.key)).unwrap_or(command)
    }

    /// Sets the first command of an instance aside, and with it those behind it.
    fn set_aside(&mut self, runner: &HandlerRunner, id: &Arc<str>, error: String) {
        let Some(first) = self.outbox.first(id) else { return };
        tracing::error!(
            cqrs.application = &*runner.application,
            cqrs.handler = &*runner.name,
            cqrs.instance = &**id,
            cqrs.command = &*first.content.name,
            error,
            "command set aside: later commands of its instance wait behind it until somebody says what is to be done"
        );
        first.stuck = Some(storable(error));
        let command: Pending = first.clone();
        runner.control.leave(command.position);
        self.change(|changes| changes.put(command.record()));
        self.outbox.set_aside(id);
        self.is_urgent = true;
        if let Some(time) = command.time {
            self.drop_early_times(runner, &time.schedule);
        }
    }

    /// Drops times of a scheduled command that were set aside, the earliest first, until they are not too many.
    fn drop_early_times(&mut self, runner: &HandlerRunner, schedule: &str) {
        let times = self.outbox.stuck_times(schedule);
        for id in &times[..times.len().saturating_sub(TIMES_SET_ASIDE)] {
            let Some(dropped) = self.outbox.pop(id) else { continue };
            tracing::warn!(
                cqrs.handler = &*runner.name,
                cqrs.schedule = schedule,
                cqrs.due_at = dropped.time.map(|time| time.at.to_rfc3339()),
                cqrs.command = &*dropped.content.name,
                error = dropped.stuck,
                "a time of a recurring command is given up: {TIMES_SET_ASIDE} later ones are set aside"
            );
            self.change(|changes| changes.remove(COMMAND, dropped.key));
        }
    }
}

/// Whether the store is to blame, so that the same command will be carried out, or found to be carried out, when it
/// answers again.
pub(crate) fn is_transient(error: &DispatchError<Rejection>) -> bool {
    match error {
        DispatchError::Store { .. } => !is_gone(error),
        DispatchError::Replay { source, .. } => matches!(**source, ReplayError::Store(_)),
        DispatchError::NotProjected { source, .. } => source.is_transient(),
        DispatchError::NotRunning { .. } => true,
        _ => error.is_outcome_unknown(),
    }
}

/// Whether the aggregate is deleted, which it stays.
pub(crate) fn is_gone(error: &DispatchError<Rejection>) -> bool {
    let DispatchError::Store { source, .. } = error else { return false };
    matches!(**source, AppendError::StreamDeleted { .. })
}
