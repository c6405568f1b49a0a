use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::clock::Clock;
use crate::handler::{Committed, End, HandlerRunner, Tenure};
use crate::process_manager::ProcessManager;
use crate::process_manager::command::{COMMAND, Pending};
use crate::process_manager::instance::{INSTANCE, Instance, Instances, Known, ProcessPhase};
use crate::process_manager::outbox::Outbox;
use crate::process_manager::step::{Outcome, TimerOutcome};
use crate::process_manager::timer::{TIMER, Timer};
use crate::store::{HandlerCommit, HandlerRecord, StoreError, all_records};
use crate::telemetry;

/// Runs a process manager: it is the one that knows the instances, what they have sent, and what is not written yet.
///
/// All that changes is gathered in `changes`, and written together with the checkpoint; commands are sent when that is
/// done. Whatever is in memory can be read again from what is written: when the tenure ends it is forgotten.
pub(crate) struct Managing<P> {
    pub(crate) instances: Instances<P>,
    pub(crate) outbox: Outbox,
    pub(crate) changes: HandlerCommit,
    /// The events that instances have handled: what they keep of them goes with `changes`.
    pub(crate) done: Vec<(u64, Arc<str>)>,
    /// The commands in `changes`, to be sent when they are written.
    pub(crate) staged: Vec<Pending>,
    /// Since when there have been changes that nobody waits for.
    pub(crate) unwritten_since: Option<Instant>,
    /// Somebody who waits for the process manager would look at what is changed.
    pub(crate) is_urgent: bool,
    /// No timer is due before.
    pub(crate) next_due: Option<DateTime<Utc>>,
    /// What is due and cannot be read, by its key: it is left to whoever can.
    pub(crate) unreadable: HashMap<String, HandlerRecord>,
    /// When the last event was stored that it has come to.
    pub(crate) seen: Option<DateTime<Utc>>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) is_loaded: bool,
    /// Where the log ended then.
    head: u64,
    /// The process manager has stopped itself: what is in memory is not what is written.
    pub(crate) is_broken: bool,
    manager: PhantomData<fn() -> P>,
}

/// How long it may take until it is written down that commands were carried out, while nothing else is written, and how
/// many of them may wait for it.
pub(crate) const WRITE_AFTER: Duration = Duration::from_millis(100);
const WRITE_MANY: usize = 256;

impl<P: ProcessManager> Managing<P> {
    pub(crate) fn new() -> Self {
        Self {
            instances: Instances::default(),
            outbox: Outbox::default(),
            changes: HandlerCommit::new(),
            done: Vec::new(),
            staged: Vec::new(),
            unwritten_since: None,
            is_urgent: false,
            next_due: None,
            unreadable: HashMap::new(),
            seen: None,
            clock: None,
            is_loaded: false,
            head: u64::MAX,
            is_broken: false,
            manager: PhantomData,
        }
    }

    /// Forgets all that is in memory.
    pub(crate) fn forget(&mut self) {
        *self = Self { clock: self.clock.take(), ..Self::new() };
    }

    /// Reads what was left to be done.
    pub(crate) async fn load(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        self.clock = Some(Arc::clone(&runner.clock));
        let mut backoff = Backoff::new();
        loop {
            self.forget();
            match self.try_load(runner, tenure).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::warn!(
                        cqrs.handler = &*runner.name,
                        error = &error as &dyn std::error::Error,
                        "what the process manager has left to do could not be read, trying again"
                    );
                    runner.wait(backoff.pause(), tenure).await?;
                }
            }
        }
        self.is_loaded = true;
        self.tell_unsent(runner);
        Ok(())
    }

    async fn try_load(&mut self, runner: &HandlerRunner, tenure: &Tenure) -> Result<(), StoreError> {
        self.head = runner.store.head().await?;
        for record in all_records(&*runner.checkpoints, &runner.name, COMMAND).await? {
            let command = Pending::of_record(record)?;
            if command.stuck.is_some() {
                runner.control.leave(command.position);
            }
            self.outbox.restore(command);
        }
        self.look_for_due(runner, tenure).await
    }

    /// Finds out when the next timer is due.
    pub(crate) async fn look_for_due(
        &mut self,
        runner: &HandlerRunner,
        tenure: &Tenure,
    ) -> Result<(), StoreError> {
        let mut earliest = tenure.parked.values().filter_map(|parked| parked.retry_at).min();
        for kind in [TIMER, INSTANCE] {
            let at = DateTime::<Utc>::MAX_UTC;
            if kind == INSTANCE && P::IDLE_TIMEOUT.is_none() {
                continue;
            }
            let limit = 1 + self.unreadable.len();
            let first = runner.checkpoints.due_records(&runner.name, kind, at, limit).await?;
            let first = first.iter().find(|record| !self.is_unreadable(record));
            let due_at = first.and_then(|record| record.due_at);
            earliest = earliest.into_iter().chain(due_at).min();
        }
        self.next_due = earliest;
        Ok(())
    }

    /// Whether something was found before that cannot be read.
    pub(crate) fn is_unreadable(&self, record: &HandlerRecord) -> bool {
        self.unreadable.get(&record.key) == Some(record)
    }

    /// Notes that something is due by then.
    pub(crate) fn is_due_at(&mut self, at: DateTime<Utc>) {
        self.next_due = Some(self.next_due.map_or(at, |known| known.min(at)));
    }

    /// What is to be written.
    pub(crate) fn take_changes(&mut self, runner: &HandlerRunner) -> HandlerCommit {
        for (position, instance) in self.done.drain(..) {
            runner.effects.done_with_one(position, &instance);
        }
        std::mem::take(&mut self.changes)
    }

    /// Makes room in memory for what is needed next. What is not written yet stays: it could not be read again.
    pub(crate) fn make_room(&mut self) {
        if self.changes.records.is_empty() {
            self.instances.make_room();
        }
    }

    /// Sees to it that instances are in memory.
    pub(crate) async fn know(
        &mut self,
        runner: &HandlerRunner,
        ids: impl IntoIterator<Item = Arc<str>>,
        tenure: &Tenure,
    ) -> Result<(), End> {
        let missing: Vec<Arc<str>> = ids.into_iter().filter(|id| !self.instances.knows(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let keys: Vec<String> = missing.iter().map(|id| id.as_ref().to_owned()).collect();
        let mut backoff = Backoff::new();
        let records = loop {
            let found = tokio::select! {
                biased;
                found = runner.checkpoints.records_of(&runner.name, INSTANCE, &keys) => found,
                () = tenure.lease.over() => return Err(End::Over),
            };
            match found {
                Ok(records) => break records,
                Err(error) => {
                    tracing::warn!(
                        cqrs.handler = &*runner.name,
                        error = &error as &dyn std::error::Error,
                        "instances could not be read, trying again"
                    );
                    runner.wait(backoff.pause(), tenure).await?;
                }
            }
        };
        missing.into_iter().for_each(|id| self.instances.put(id, Known::Absent));
        for record in records {
            let known = match Instance::of_record(&record) {
                Ok(instance) => Known::Present(Box::new(instance)),
                Err(error) => Known::Unreadable(error.to_string().into()),
            };
            self.instances.put(record.key.into(), known);
        }
        Ok(())
    }

    /// Takes over what a step has come to. The instance is gone afterwards when the step has ended it.
    pub(crate) async fn take_over(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        known: Known<P>,
        outcome: Outcome,
        tenure: &Tenure,
    ) -> Result<(), End> {
        for timer in outcome.timers {
            match timer {
                TimerOutcome::Set(timer) => {
                    self.is_due_at(timer.due_at);
                    self.change(|changes| changes.put(timer.record()));
                }
                TimerOutcome::Cancel(name) => self.change(|changes| Timer::remove(changes, id, &name)),
            }
        }
        for command in outcome.commands {
            self.stage(command);
        }
        match known {
            Known::Present(instance) if outcome.is_stopped => {
                self.end(runner, id, instance.progress.has_timers, tenure).await?;
            }
            Known::Present(instance) => self.keep(runner, id, instance),
            other => self.instances.put(Arc::clone(id), other),
        }
        Ok(())
    }

    /// Keeps an instance that has changed.
    pub(crate) fn keep(&mut self, runner: &HandlerRunner, id: &Arc<str>, instance: Box<Instance<P>>) {
        match instance.record(id, runner.clock.now()) {
            Ok(record) => {
                if let Some(due_at) = record.due_at {
                    self.is_due_at(due_at);
                }
                self.change(|changes| changes.put(record));
            }
            // Encoded once when the step was done, so that this does not happen.
            Err(error) => tracing::error!(
                cqrs.handler = &*runner.name,
                cqrs.instance = &**id,
                error = &error as &dyn std::error::Error,
                "the state of an instance cannot be encoded"
            ),
        }
        self.instances.put(Arc::clone(id), Known::Present(instance));
    }

    /// Ends an instance: its state and its timers go.
    pub(crate) async fn end(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        has_timers: bool,
        tenure: &Tenure,
    ) -> Result<(), End> {
        self.change(|changes| changes.remove(INSTANCE, id.as_ref()));
        self.instances.put(Arc::clone(id), Known::Absent);
        match has_timers {
            true => self.drop_timers(runner, id, tenure).await,
            false => Ok(()),
        }
    }

    async fn drop_timers(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        tenure: &Tenure,
    ) -> Result<(), End> {
        // Those that are set but not written yet.
        let prefix = Timer::of_instance(id);
        for ((kind, key), record) in &mut self.changes.records {
            if kind == TIMER && key.starts_with(&prefix) {
                *record = None;
            }
        }
        for record in self.timers_of(runner, id, tenure).await? {
            self.change(|changes| changes.remove(TIMER, record.key));
        }
        Ok(())
    }

    /// The timers of an instance that are written down.
    pub(crate) async fn timers_of(
        &self,
        runner: &HandlerRunner,
        id: &str,
        tenure: &Tenure,
    ) -> Result<Vec<HandlerRecord>, End> {
        let mut backoff = Backoff::new();
        loop {
            match Timer::all_of(&*runner.checkpoints, &runner.name, id).await {
                Ok(timers) => return Ok(timers),
                Err(error) => {
                    tracing::warn!(
                        cqrs.handler = &*runner.name,
                        error = &error as &dyn std::error::Error,
                        "the timers of an instance could not be read, trying again"
                    );
                    runner.wait(backoff.pause(), tenure).await?;
                }
            }
        }
    }

    /// Drops the commands of the instance that was `started` there that cannot have been sent.
    pub(crate) fn discard(&mut self, id: &Arc<str>, started: u64) {
        let dropped = self.outbox.discard(id, started);
        self.drop_commands(dropped);
        self.drop_staged(id, started);
    }

    pub(crate) fn drop_commands(&mut self, dropped: Vec<Pending>) {
        for command in dropped {
            self.change(|changes| changes.remove(COMMAND, command.key));
        }
    }

    fn drop_staged(&mut self, id: &Arc<str>, started: u64) {
        let is_its = |command: &Pending| command.instance == *id && command.started == started;
        let (of_instance, others) = std::mem::take(&mut self.staged).into_iter().partition(is_its);
        self.staged = others;
        self.drop_commands(of_instance);
    }

    /// Has an instance go back: what undoes its commands is sent, the last one first, and then `last`; nothing comes in time
    /// any more. When commands may have been sent of which it is not known whether they are carried out, that begins when it
    /// is.
    pub(crate) async fn compensate(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        mut instance: Box<Instance<P>>,
        last: Vec<Pending>,
        tenure: &Tenure,
    ) -> Result<(), End> {
        let started = instance.progress.started;
        let dropped = self.outbox.go_back(id, started);
        self.drop_commands(dropped);
        self.drop_staged(id, started);
        let kept = self.outbox.of(id).filter(|command| command.started == started);
        for kept in kept.map(Pending::record).collect::<Vec<_>>() {
            self.change(|changes| changes.put(kept));
        }
        if std::mem::take(&mut instance.progress.has_timers) {
            self.drop_timers(runner, id, tenure).await?;
        }
        instance.progress.phase = ProcessPhase::Compensating;
        let commands = instance.progress.go_back(&runner.name, id).into_iter();
        instance.progress.steps += 1;
        let (position, steps) = (instance.progress.position, instance.progress.steps);
        let last = last.into_iter().enumerate().map(|(ordinal, command)| Pending {
            key: Pending::key(position, steps, ordinal, id),
            position,
            is_compensating: true,
            ..command
        });
        commands.chain(last).for_each(|command| self.stage(command));
        self.keep(runner, id, instance);
        self.end_if_back(runner, id, tenure).await
    }

    /// Has a command written down, and sent then.
    ///
    /// An id names where its instance was started. One that was started after all was read has sent nothing in an earlier
    /// tenure, nor before a reset, so that the store need not be asked for its commands.
    pub(crate) fn stage(&mut self, command: Pending) {
        self.change(|changes| changes.put(command.record()));
        let is_new = command.started > self.head;
        self.staged.push(Pending { is_new, ..command });
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(HandlerCommit) -> HandlerCommit) {
        self.changes = change(std::mem::take(&mut self.changes));
    }

    /// Writes all changes, and lets the commands go that belong to them. When a scheduled command that they take was cancelled
    /// meanwhile, none of them is written, and all is read anew: the others are due again.
    pub(crate) async fn write(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        if !self.changes.records.is_empty() {
            // Told before what led to them is gone from the store: at any moment one of the two is to be seen.
            runner.set_unsent(self.lowest_unsent());
            match runner.commit_if(self.take_changes(runner), tenure).await? {
                Committed::Written => tenure.saved = runner.position(),
                Committed::Changed => return self.load(runner, tenure).await,
            }
        }
        (self.unwritten_since, self.is_urgent) = (None, false);
        std::mem::take(&mut self.staged).into_iter().for_each(|command| self.outbox.push(command));
        self.outbox.pump(runner, runner.commands_in_flight);
        self.tell_unsent(runner);
        Ok(())
    }

    /// [`Managing::write`], unless nobody waits for it and more may come.
    pub(crate) async fn write_if_due(
        &mut self,
        runner: &HandlerRunner,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        if self.is_write_due() {
            return self.write(runner, tenure).await;
        }
        self.outbox.pump(runner, runner.commands_in_flight);
        self.tell_unsent(runner);
        Ok(())
    }

    fn is_write_due(&mut self) -> bool {
        if self.changes.records.is_empty() {
            return false;
        }
        let since = *self.unwritten_since.get_or_insert_with(Instant::now);
        self.is_urgent
            || !self.staged.is_empty()
            || self.outbox.len() == 0
            || self.changes.records.len() >= WRITE_MANY
            || since.elapsed() >= WRITE_AFTER
    }

    /// Tells those who wait for the process manager up to where its commands are carried out.
    pub(crate) fn tell_unsent(&self, runner: &HandlerRunner) {
        runner.set_unsent(self.outbox.lowest());
        telemetry::process_manager::pending(runner, self.outbox.len());
    }
}
