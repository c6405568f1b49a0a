//! What is due: deadlines, scheduled commands, and instances that have been idle for long.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tracing::Instrument as _;

use crate::handler::{End, HandlerRunner, HandlerState, Tenure, storable};
use crate::process_manager::instance::{INSTANCE, Instance, Known, ProcessPhase};
use crate::process_manager::manage::Managing;
use crate::process_manager::step::{Attempt, Failed, Occasion};
use crate::process_manager::timer::{TIMER, Timer};
use crate::process_manager::{ProcessAction, ProcessManager};
use crate::store::{HandlerRecord, StoreError};
use crate::subscription::Buffered;
use crate::telemetry;

/// How much of what is due is done before it is written.
const DUE: usize = 500;

impl<P: ProcessManager> Managing<P> {
    /// Does what is due by now. Events that were stored before come first.
    pub(crate) async fn fire_due(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        let now = runner.clock.now();
        let Some(by) = self.due_by(runner, now) else { return Ok(()) };
        self.write(runner, tenure).await?;
        self.make_room();
        let fired = self.try_to_fire(runner, by, tenure).instrument(telemetry::timer::span(runner));
        if let Err(error) = fired.await? {
            tracing::warn!(
                cqrs.handler = &*runner.name,
                error = &error as &dyn std::error::Error,
                "what is due could not be read, trying again"
            );
            self.next_due = Some(now + chrono::Duration::seconds(1));
        }
        Ok(())
    }

    /// Up to when something may be due that can be done; `None` when nothing is.
    fn due_by(&self, runner: &HandlerRunner, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.next_due.filter(|next| *next <= now)?;
        let by = match runner.tail.after(&runner.subscriber, runner.position()) {
            Buffered::AtEnd => now,
            _ => self.seen?.min(now),
        };
        (next <= by).then_some(by)
    }

    async fn try_to_fire(
        &mut self,
        runner: &HandlerRunner,
        by: DateTime<Utc>,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        let (mut is_more, mut is_postponed) = (false, false);
        for kind in [TIMER, INSTANCE] {
            if kind == INSTANCE && P::IDLE_TIMEOUT.is_none() {
                continue;
            }
            let limit = DUE + self.unreadable.len();
            let mut due = match runner.checkpoints.due_records(&runner.name, kind, by, limit).await {
                Ok(due) => due,
                Err(error) => return Ok(Err(error)),
            };
            is_more |= due.len() == limit;
            due.retain(|record| !self.is_unreadable(record));
            let (ready, waiting): (Vec<_>, Vec<_>) =
                due.into_iter().partition(|record| !is_parked(record, tenure));
            is_postponed |= !waiting.is_empty();
            match kind {
                TIMER => self.fire_timers(runner, ready, tenure).await?,
                _ => self.fire_idle(runner, ready, tenure).await?,
            }
            self.write(runner, tenure).await?;
        }
        let now = runner.clock.now();
        if is_more && !is_postponed {
            self.next_due = Some(now);
            return Ok(Ok(()));
        }
        let looked = self.look_for_due(runner, tenure).await;
        if is_postponed {
            // What waits behind a parked event would be found due again and again.
            let later = now + chrono::Duration::seconds(1);
            self.next_due = self.next_due.map(|next| next.max(later));
        }
        Ok(looked)
    }

    async fn fire_timers(
        &mut self,
        runner: &HandlerRunner,
        records: Vec<HandlerRecord>,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let mut timers = Vec::with_capacity(records.len());
        for record in records {
            match Timer::of_record(&record) {
                Ok(timer) => timers.push((timer, record)),
                Err(error) => {
                    tracing::error!(
                        cqrs.handler = &*runner.name,
                        error = &error as &dyn std::error::Error,
                        "a timer is kept, and left to a version of the program that can read it"
                    );
                    self.unreadable.insert(record.key.clone(), record);
                }
            }
        }
        let deadlines = timers.iter().filter(|(timer, _)| timer.command.is_none());
        let instances: Vec<_> = deadlines.map(|(timer, _)| Arc::clone(&timer.instance)).collect();
        self.know(runner, instances, tenure).await?;
        for (timer, record) in timers {
            if self.is_changed(&timer) {
                continue;
            }
            telemetry::timer::fired(runner, &timer);
            self.change(|changes| timer.take(record, runner.clock.now(), changes));
            match timer.pending(&runner.name, runner.position()) {
                Some(command) => self.stage(command),
                None => self.fire_deadline(runner, timer, tenure).await?,
            }
        }
        Ok(())
    }

    /// Whether what was due before has dropped a timer that is due, or set it anew.
    fn is_changed(&self, timer: &Timer) -> bool {
        let place = (TIMER.into(), Timer::key(&timer.instance, &timer.name));
        self.changes.records.contains_key(&place)
    }

    async fn fire_deadline(
        &mut self,
        runner: &HandlerRunner,
        timer: Timer,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let id = Arc::clone(&timer.instance);
        let mut instance = match self.instances.take(&id) {
            Known::Present(instance)
                if instance.progress.started == timer.started
                    && instance.progress.phase == ProcessPhase::Running =>
            {
                instance
            }
            other => {
                self.instances.put(id, other);
                return Ok(());
            }
        };
        let attempt = Attempt {
            number: timer.attempts.saturating_add(1),
            first_failed_at: timer.first_failed_at,
            pending: self.outbox.unsent(&id, timer.started),
        };
        let occasion = Occasion::Deadline(timer.clone());
        let error = match runner.caller().step(&id, &mut instance, &occasion, Vec::new()).await {
            Ok(outcome) => {
                return self.take_over(runner, &id, Known::Present(instance), outcome, tenure).await;
            }
            Err(error) => error,
        };
        let failed = runner.caller().fail(&id, &mut instance, &occasion, error, attempt).await;
        let Some((instance, failed)) = self.end_attempt(runner, &id, instance, failed, tenure).await? else {
            return Ok(());
        };
        let delay = match failed.action {
            ProcessAction::RetryAfter(delay) => chrono::Duration::from_std(delay).ok(),
            _ => None,
        };
        let again = Timer {
            attempts: failed.attempts,
            first_failed_at: Some(failed.first_failed_at),
            due_at: delay
                .and_then(|delay| runner.clock.now().checked_add_signed(delay))
                .unwrap_or(timer.due_at),
            stuck: (failed.action == ProcessAction::Park).then(|| storable(failed.text)),
            ..timer
        };
        self.change(|changes| changes.put(again.record()));
        self.instances.put(id, Known::Present(instance));
        Ok(())
    }

    async fn fire_idle(
        &mut self,
        runner: &HandlerRunner,
        records: Vec<HandlerRecord>,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let ids: Vec<Arc<str>> = records.into_iter().map(|record| record.key.into()).collect();
        self.know(runner, ids.clone(), tenure).await?;
        for id in ids {
            let mut instance = match self.instances.take(&id) {
                Known::Present(instance) => instance,
                other => {
                    self.instances.put(id, other);
                    continue;
                }
            };
            let pending = self.outbox.unsent(&id, instance.progress.started);
            let attempt = Attempt { number: 1, first_failed_at: None, pending };
            let error = match runner.caller().step(&id, &mut instance, &Occasion::Idle, Vec::new()).await {
                Ok(outcome) => {
                    self.take_over(runner, &id, Known::Present(instance), outcome, tenure).await?;
                    continue;
                }
                Err(error) => error,
            };
            let failed = runner.caller().fail(&id, &mut instance, &Occasion::Idle, error, attempt).await;
            if let Some((instance, _)) = self.end_attempt(runner, &id, instance, failed, tenure).await? {
                // It is told again after as much time.
                self.keep(runner, &id, instance);
            }
        }
        Ok(())
    }

    /// Does what a failure comes to, unless the same is to be tried again or set aside: then it gives back both.
    async fn end_attempt(
        &mut self,
        runner: &HandlerRunner,
        id: &Arc<str>,
        instance: Box<Instance<P>>,
        failed: Failed,
        tenure: &mut Tenure,
    ) -> Result<Option<(Box<Instance<P>>, Failed)>, End> {
        match failed.action {
            ProcessAction::Skip | ProcessAction::DiscardPending => {
                if failed.action == ProcessAction::DiscardPending {
                    self.discard(id, instance.progress.started);
                }
                self.take_over(runner, id, Known::Present(instance), failed.outcome, tenure).await?;
                Ok(None)
            }
            ProcessAction::Compensate => {
                self.compensate(runner, id, instance, failed.outcome.commands, tenure).await?;
                Ok(None)
            }
            ProcessAction::Stop => {
                runner.set_failure(HandlerState::Failed, &failed.text);
                Err(End::Failed)
            }
            ProcessAction::Retry | ProcessAction::RetryAfter(_) | ProcessAction::Park => {
                Ok(Some((instance, failed)))
            }
        }
    }

    /// Has deadlines of an instance come that were set aside, or drops them unless `with_first`.
    pub(crate) async fn take_up_timers(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        tenure: &Tenure,
    ) -> Result<(), End> {
        for record in self.timers_of(runner, key, tenure).await? {
            let Ok(timer) = Timer::of_record(&record) else { continue };
            if timer.stuck.is_none() {
                continue;
            }
            if !with_first {
                self.change(|changes| changes.remove(TIMER, record.key));
                continue;
            }
            let timer = Timer { stuck: None, due_at: runner.clock.now(), ..timer };
            self.is_due_at(timer.due_at);
            self.change(|changes| changes.put(timer.record()));
        }
        Ok(())
    }
}

/// Whether what is due is about an instance of which an event is parked: it may come before that event otherwise.
fn is_parked(record: &HandlerRecord, tenure: &Tenure) -> bool {
    if tenure.parked.is_empty() {
        return false;
    }
    match &*record.kind {
        TIMER => {
            Timer::of_record(record).is_ok_and(|timer| tenure.parked.contains_key(timer.instance.as_ref()))
        }
        _ => tenure.parked.contains_key(&record.key),
    }
}
