//! What a process manager does with events: they are dealt out to instances, which handle them side by side, each in its
//! order; and what all of them came to is written at once, with the checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep_until};

use crate::error_text::error_text;
use crate::event::{DecodeError, decode};
use crate::handler::{Consumer, End, HandlerRunner, HandlerState, Order, PARKED, ParkedKey, Tenure};
use crate::process_manager::admit::{Admitted, admit};
use crate::process_manager::command::{COMMAND, Pending};
use crate::process_manager::instance::{INSTANCE, Instance, Known, ProcessPhase};
use crate::process_manager::manage::{Managing, WRITE_AFTER};
use crate::process_manager::route::{Content, Fault, route};
use crate::process_manager::step::{Attempt, Failed, Occasion, Outcome};
use crate::process_manager::timer::TIMER;
use crate::process_manager::{ProcessAction, ProcessError, ProcessManager, SentCommand};
use crate::store::{HandlerCommit, RecordedEvent, StoreError, all_records};

/// How many events are handled before what they came to is written.
const EVENTS: usize = 500;
/// How many instances handle events at a time.
const INSTANCES: usize = 64;
/// How many commands may wait to be carried out before no more events are handled.
const BACKLOG: usize = 10_000;

/// An event for one instance.
struct Delivery<P: ProcessManager> {
    event: RecordedEvent,
    content: Content<P>,
}

/// What is tried again.
#[derive(Clone, Copy)]
struct Again<'a> {
    key: &'a str,
    parked: &'a ParkedKey,
}

/// What the events of an instance have come to.
struct Handled<P> {
    id: Arc<str>,
    known: Known<P>,
    has_changed: bool,
    /// Whether an instance has ended, and whether that one may have had timers.
    ended: Option<bool>,
    outcome: Outcome,
    /// Where the instance was started whose commands from before are to be dropped.
    discards: Option<u64>,
    compensates: bool,
    parked: Option<ParkedKey>,
    /// The events that wait, the one that failed included.
    left: Vec<u64>,
    done: Vec<u64>,
    stops: Option<String>,
}

impl<P: ProcessManager> Consumer for Managing<P> {
    async fn begin(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        self.load(runner, tenure).await
    }

    async fn consume(
        &mut self,
        runner: &HandlerRunner,
        events: &[RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let position = runner.position();
        let wanted = events.iter().filter(|event| event.position > position);
        let wanted: Vec<_> = wanted.filter(|event| runner.subscriber.wants(event)).collect();
        let mut rest = wanted.as_slice();
        while !rest.is_empty() {
            while self.outbox.active() >= BACKLOG {
                tokio::select! {
                    () = runner.stop.cancelled() => return Err(End::Stopped),
                    () = tenure.lease.over() => return Err(End::Over),
                    () = self.woken() => {}
                }
                self.tend(runner, tenure).await?;
                runner.heed(tenure).await?;
            }
            runner.check(tenure)?;
            let handled = self.handle(runner, rest, None, tenure).await;
            let handled = self.note(handled)?;
            let last = rest[handled - 1].position;
            rest = &rest[handled..];
            let written = self.write_up_to(runner, last, tenure).await;
            self.note(written)?;
            runner.heed(tenure).await?;
        }
        self.seen = events.last().map(|event| event.created_at).or(self.seen);
        Ok(())
    }

    async fn retry_parked(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        let retried = self.retry(runner, key, with_first, done, tenure).await;
        self.note(retried)
    }

    async fn before_reset(
        &mut self,
        runner: &HandlerRunner,
        mut done: HandlerCommit,
    ) -> Result<HandlerCommit, String> {
        // Read again when the reset is written, or was not.
        self.forget();
        for kind in [INSTANCE, COMMAND, TIMER] {
            let records = all_records(&*runner.checkpoints, &runner.name, kind).await;
            let records = records.map_err(|error| error_text(&error))?;
            done = records.into_iter().fold(done, |done, record| done.remove(kind, record.key));
        }
        Ok(done)
    }

    fn called(&mut self) {
        // There may be timers of others.
        self.next_due = Some(DateTime::<Utc>::MIN_UTC);
    }

    async fn tend(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        if !self.is_loaded {
            self.load(runner, tenure).await?;
        }
        let tended = self.do_all(runner, tenure).await;
        self.note(tended)
    }

    async fn woken(&mut self) {
        let clock = self.clock.clone();
        let next_due = self.next_due;
        let due = async {
            match (clock, next_due) {
                (Some(clock), Some(at)) => clock.wait_until(at).await,
                _ => std::future::pending().await,
            }
        };
        let write_at = self.unwritten_since.map(|since| since + WRITE_AFTER);
        tokio::select! {
            () = self.outbox.moved() => {}
            () = due => {}
            () = sleep_until(write_at.unwrap_or_else(Instant::now)), if write_at.is_some() => {}
        }
    }

    fn dismissed(&mut self) {
        // Commands that are on their way are taken back, unless they are being written. They are sent by the next owner, which
        // may come to something else meanwhile.
        self.forget();
    }

    async fn finish(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        if self.is_broken {
            return Ok(());
        }
        self.outbox.land().await;
        self.settle(runner, tenure).await?;
        // What could be sent now is sent at the next start.
        if !self.changes.records.is_empty() {
            runner.commit(self.take_changes(runner), tenure).await?;
        }
        Ok(())
    }
}

impl<P: ProcessManager> Managing<P> {
    /// Notes that something was cut off half-way: what is in memory is not what is written then.
    fn note<T>(&mut self, result: Result<T, End>) -> Result<T, End> {
        self.is_broken |= result.is_err();
        result
    }

    async fn do_all(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        self.settle(runner, tenure).await?;
        self.retry_due(runner, tenure).await?;
        self.fire_due(runner, tenure).await?;
        self.write_if_due(runner, tenure).await
    }

    async fn retry(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        self.take_up(runner, key, with_first, tenure).await?;
        self.take_up_timers(runner, key, with_first, tenure).await?;
        let retried = self.retry_events(runner, key, with_first, tenure).await?;
        match &retried {
            Ok(()) => self.changes.records.extend(done.records),
            // It is told again.
            Err(_) if with_first => {}
            // What was to be left out is: the next time only the others remain.
            Err(_) => {
                let order = Order::RetryParked { key: key.to_owned() };
                self.change(|changes| changes.put(order.record()));
            }
        }
        self.write(runner, tenure).await?;
        Ok(retried)
    }

    /// Deals the first of some events out to instances, and takes over what they come to; gives how many they were. Of
    /// what is tried `again`, only the events of its key are handled.
    async fn handle(
        &mut self,
        runner: &HandlerRunner,
        events: &[&RecordedEvent],
        again: Option<Again<'_>>,
        tenure: &mut Tenure,
    ) -> Result<usize, End> {
        self.make_room();
        let mut inboxes: BTreeMap<Arc<str>, Vec<Delivery<P>>> = BTreeMap::new();
        let (mut dealt, mut is_known) = (0, true);
        for event in events.iter().take(EVENTS) {
            if !is_known {
                break;
            }
            dealt += 1;
            for (id, content) in route(&runner.registry, event, &runner.context(event, 1)) {
                if again.is_some_and(|again| *again.key != *id && *again.key != *event.stream_id.as_str()) {
                    continue;
                }
                if waits(event, &id, again, tenure) {
                    runner.control.leave(event.position);
                    continue;
                }
                // If it fails, whatever is behind it in its stream waits: that has to be known first.
                is_known &= matches!(content, Content::Events(_));
                inboxes.entry(id).or_default().push(Delivery { event: (*event).clone(), content });
            }
        }
        self.know(runner, inboxes.keys().cloned(), tenure).await?;
        let mut at_work = Vec::with_capacity(inboxes.len());
        for (id, inbox) in inboxes {
            let known = self.instances.take(&id);
            let first_again = again.map(|again| again.parked);
            let pending = match &known {
                Known::Present(instance) => self.outbox.unsent(&id, instance.progress.started),
                _ => Vec::new(),
            };
            at_work.push(handle_all(runner, id, known, inbox, first_again, pending));
        }
        let mut handled: Vec<_> = stream::iter(at_work).buffer_unordered(INSTANCES).collect().await;
        handled.sort_by(|one: &Handled<P>, other| one.id.cmp(&other.id));
        for handled in handled {
            self.take_handled(runner, handled, tenure).await?;
        }
        Ok(dealt)
    }

    async fn take_handled(
        &mut self,
        runner: &HandlerRunner,
        handled: Handled<P>,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        let Handled { id, known, has_changed, ended, outcome, discards, compensates, parked, .. } = handled;
        let (left, done, stops) = (handled.left, handled.done, handled.stops);
        if let Some(error) = stops {
            self.is_broken = true;
            runner.set_failure(HandlerState::Failed, &error);
            return Err(End::Failed);
        }
        for position in done {
            runner.control.make_up(position);
            self.done.push((position, Arc::clone(&id)));
        }
        if let Some(started) = discards {
            self.discard(&id, started);
        }
        if let Some(has_timers) = ended {
            self.end(runner, &id, has_timers, tenure).await?;
        }
        match known {
            Known::Present(instance) if compensates => {
                let is_its = |command: &Pending| command.started == instance.progress.started;
                let (last, earlier): (Vec<_>, Vec<_>) = outcome.commands.into_iter().partition(is_its);
                earlier.into_iter().for_each(|command| self.stage(command));
                self.compensate(runner, &id, instance, last, tenure).await?;
            }
            known if has_changed => self.take_over(runner, &id, known, outcome, tenure).await?,
            known => self.instances.put(Arc::clone(&id), known),
        }
        left.into_iter().for_each(|position| runner.control.leave(position));
        if let Some(parked) = parked {
            self.park(runner, parked, tenure)?;
        }
        Ok(())
    }

    /// Keeps an event, and those of its key behind it, for later.
    fn park(&mut self, runner: &HandlerRunner, parked: ParkedKey, tenure: &mut Tenure) -> Result<(), End> {
        let may_park = runner.may_park(&parked.key, parked.position, &parked.error, tenure);
        self.note(may_park)?;
        if let Some(at) = parked.retry_at {
            self.is_due_at(at);
        } else {
            tracing::error!(
                cqrs.application = &*runner.application,
                cqrs.handler = &*runner.name,
                cqrs.event_number = parked.position,
                cqrs.key = parked.key,
                error = parked.error,
                "event parked: later events of its instance wait behind it until somebody says what is to be done"
            );
        }
        self.change(|changes| changes.put(parked.record()));
        tenure.parked.insert(parked.key.clone(), parked);
        runner.set_parked(tenure);
        Ok(())
    }

    /// Tries those parked events again that have waited as long as they were to.
    async fn retry_due(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        let now = runner.clock.now();
        let due = tenure.parked.values().filter(|parked| parked.retry_at.is_some_and(|at| at <= now));
        let due: Vec<String> = due.map(|parked| parked.key.clone()).collect();
        for key in due {
            if let Err(error) = self.retry_events(runner, &key, true, tenure).await? {
                tracing::warn!(
                    cqrs.handler = &*runner.name,
                    error = &error as &dyn std::error::Error,
                    "parked events could not be read, trying again"
                );
                let later = now + chrono::Duration::seconds(1);
                if let Some(parked) = tenure.parked.get_mut(&key) {
                    parked.retry_at = Some(later);
                }
                self.is_due_at(later);
            }
            self.write(runner, tenure).await?;
        }
        Ok(())
    }

    /// Handles the events of a parked key, from the one that failed up to where the process manager has come. What comes
    /// of it is not written yet.
    async fn retry_events(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        tenure: &mut Tenure,
    ) -> Result<Result<(), StoreError>, End> {
        let Some(parked) = tenure.parked.get(key).cloned() else { return Ok(Ok(())) };
        let until = runner.position();
        let mut position = match with_first {
            true => parked.position - 1,
            false => {
                runner.control.make_up(parked.position);
                self.done.push((parked.position, key.into()));
                parked.position
            }
        };
        tenure.parked.remove(key);
        while position < until {
            runner.check(tenure)?;
            let page = tokio::select! {
                biased;
                page = runner.store.read_log(position, &runner.subscriber.filter, runner.page) => page,
                () = tenure.lease.over() => return Err(End::Over),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    // Where it has come to is where it goes on; what was handled is written first.
                    let parked = ParkedKey { position: position + 1, ..parked };
                    self.change(|changes| changes.put(parked.record()));
                    tenure.parked.insert(key.to_owned(), parked);
                    return Ok(Err(error));
                }
            };
            if page.read_to <= position {
                break;
            }
            let events: Vec<_> = page.events.iter().take_while(|event| event.position <= until).collect();
            let mut rest = events.as_slice();
            while !rest.is_empty() {
                let again = Again { key, parked: &parked };
                let handled = self.handle(runner, rest, Some(again), tenure).await?;
                rest = &rest[handled..];
                if tenure.parked.contains_key(key) {
                    return Ok(Ok(()));
                }
            }
            position = page.read_to;
        }
        self.change(|changes| changes.remove(PARKED, key));
        runner.set_parked(tenure);
        tracing::info!(cqrs.handler = &*runner.name, cqrs.key = key, "parked events handled");
        Ok(Ok(()))
    }

    /// Has commands sent that were set aside; the first one is left out unless `with_first`.
    async fn take_up(
        &mut self,
        runner: &HandlerRunner,
        key: &str,
        with_first: bool,
        tenure: &Tenure,
    ) -> Result<(), End> {
        let id: Arc<str> = key.into();
        if !self.outbox.is_stuck(&id) {
            return Ok(());
        }
        let Some(first) = self.outbox.first(&id) else { return Ok(()) };
        first.stuck = None;
        let first = first.clone();
        runner.control.make_up(first.position);
        if with_first {
            self.change(|changes| changes.put(first.record()));
            self.outbox.take_up(&id);
            return Ok(());
        }
        self.outbox.pop(&id);
        self.change(|changes| changes.remove(COMMAND, &*first.key));
        if first.is_compensating {
            self.know(runner, [Arc::clone(&id)], tenure).await?;
            self.end_if_back(runner, &id, tenure).await?;
        }
        Ok(())
    }

    /// Writes what events up to `position` have come to.
    async fn write_up_to(
        &mut self,
        runner: &HandlerRunner,
        position: u64,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        runner.commit(self.take_changes(runner).position(position), tenure).await?;
        // The commands before the position: nobody must believe in between that there are none.
        runner.set_unsent(self.lowest_unsent());
        runner.advance(position);
        tenure.saved = runner.position();
        self.write(runner, tenure).await
    }

    pub(crate) fn lowest_unsent(&self) -> Option<u64> {
        self.staged.iter().map(|command| command.position).chain(self.outbox.lowest()).min()
    }
}

/// Whether an event waits behind a parked one, of its instance or of its stream.
fn waits(event: &RecordedEvent, id: &str, again: Option<Again<'_>>, tenure: &Tenure) -> bool {
    if tenure.parked.is_empty() {
        return false;
    }
    let waits_behind = |key: &str| {
        again.is_none_or(|again| again.key != key)
            && tenure.parked.get(key).is_some_and(|parked| parked.position <= event.position)
    };
    waits_behind(id) || waits_behind(event.stream_id.as_str())
}

/// Has an instance handle its events, in their order, until one fails for good.
async fn handle_all<P: ProcessManager>(
    runner: &HandlerRunner,
    id: Arc<str>,
    known: Known<P>,
    inbox: Vec<Delivery<P>>,
    again: Option<&ParkedKey>,
    pending: Vec<SentCommand>,
) -> Handled<P> {
    let mut handled = Handled {
        id,
        known,
        has_changed: false,
        ended: None,
        outcome: Outcome::default(),
        discards: None,
        compensates: false,
        parked: None,
        left: Vec::new(),
        done: Vec::new(),
        stops: None,
    };
    for delivery in inbox {
        let position = delivery.event.position;
        if handled.parked.is_some() {
            handled.left.push(position);
            continue;
        }
        let earlier = again.filter(|parked| parked.position == position);
        match handle_one(runner, &mut handled, &delivery, earlier, &pending).await {
            Some(failed) => handled.give_up(runner, &delivery.event, failed, earlier),
            None => handled.done.push(position),
        }
        if handled.stops.is_some() {
            break;
        }
    }
    handled
}

/// Has an instance handle an event, again and again while it says so at once. Gives the failure that is not over.
async fn handle_one<P: ProcessManager>(
    runner: &HandlerRunner,
    handled: &mut Handled<P>,
    delivery: &Delivery<P>,
    earlier: Option<&ParkedKey>,
    pending: &[SentCommand],
) -> Option<Failed> {
    let mut number = earlier.map_or(0, |parked| parked.attempts);
    let mut first_failed_at = earlier.map(|parked| parked.first_failed_at);
    loop {
        number = number.saturating_add(1);
        let occasion = Occasion::Event(runner.context(&delivery.event, number));
        let error = match attempt(runner, handled, delivery, &occasion).await {
            Ok(()) => return None,
            Err(error) => error,
        };
        let attempt = Attempt { number, first_failed_at, pending: pending.to_vec() };
        let mut nobody = Instance::begin(delivery.event.position);
        let is_present = matches!(handled.known, Known::Present(_));
        let subject = match &mut handled.known {
            Known::Present(instance) => &mut **instance,
            _ => &mut nobody,
        };
        let is_back = subject.progress.phase == ProcessPhase::Compensating;
        let started = subject.progress.started;
        let mut failed = runner.caller().fail(&handled.id, subject, &occasion, error, attempt).await;
        first_failed_at = Some(failed.first_failed_at);
        match failed.action {
            ProcessAction::Retry => {
                tokio::task::yield_now().await;
                if runner.stop.is_cancelled() {
                    // It goes on at the next start.
                    failed.action = ProcessAction::RetryAfter(std::time::Duration::ZERO);
                    return Some(failed);
                }
            }
            ProcessAction::Skip | ProcessAction::DiscardPending => {
                if failed.action == ProcessAction::DiscardPending {
                    handled.outcome.drop_of(started);
                    handled.discards = Some(started);
                }
                handled.add(failed.outcome);
                return None;
            }
            ProcessAction::Compensate if is_present && !is_back => {
                // It does not end before it has gone back.
                let outcome = Outcome { is_stopped: false, ..failed.outcome };
                handled.outcome.drop_of(started);
                handled.add(outcome);
                handled.compensates = true;
                // Later events pass it by.
                if let Known::Present(instance) = &mut handled.known {
                    instance.progress.phase = ProcessPhase::Compensating;
                }
                return None;
            }
            ProcessAction::Compensate => {
                failed.action = ProcessAction::Park;
                return Some(failed);
            }
            ProcessAction::RetryAfter(_) | ProcessAction::Park | ProcessAction::Stop => return Some(failed),
        }
    }
}

/// Has an instance handle an event once.
async fn attempt<P: ProcessManager>(
    runner: &HandlerRunner,
    handled: &mut Handled<P>,
    delivery: &Delivery<P>,
    occasion: &Occasion,
) -> Result<(), ProcessError<P::Error>> {
    let events = match &delivery.content {
        Content::Events(events) => events,
        Content::Fault(Fault::Panicked(panic)) => return Err(ProcessError::Panicked(panic.clone())),
        Content::Fault(Fault::InvalidInstance(instance)) => {
            return Err(ProcessError::InvalidInstance { instance: instance.clone() });
        }
        Content::Fault(Fault::Undecodable) => {
            return match undecodable::<P>(runner, &delivery.event) {
                Some(error) => Err(ProcessError::Undecodable(error)),
                None => Ok(()),
            };
        }
    };
    let position = delivery.event.position;
    let mut instance = match &handled.known {
        Known::Unreadable(error) => return Err(ProcessError::Unreadable(error.as_ref().to_owned())),
        Known::Absent => None,
        Known::Present(instance) => Some(instance.clone()),
    };
    let Admitted { wanted, ends } = admit(&mut instance, events, position)?;
    let Some(mut instance) = instance else { return Ok(()) };
    if wanted.is_empty() || instance.progress.phase == ProcessPhase::Compensating {
        return Ok(());
    }
    instance.progress.position = position;
    let mut outcome = runner.caller().step(&handled.id, &mut instance, occasion, wanted).await?;
    outcome.is_stopped |= ends;
    handled.known = Known::Present(instance);
    handled.add(outcome);
    Ok(())
}

impl Outcome {
    /// Drops the commands of the instance that was `started` there; those of one that has ended stay.
    fn drop_of(&mut self, started: u64) {
        self.commands.retain(|command| command.started != started);
    }
}

impl<P: ProcessManager> Handled<P> {
    /// Takes over what a step of the instance has come to.
    fn add(&mut self, outcome: Outcome) {
        let Outcome { commands, timers, is_stopped } = outcome;
        self.outcome.commands.extend(commands);
        let Known::Present(instance) = &self.known else { return };
        self.has_changed = true;
        self.outcome.timers.extend(timers);
        if is_stopped {
            let had_timers = self.ended.unwrap_or(false) || instance.progress.has_timers;
            self.ended = Some(had_timers);
            self.outcome.timers.clear();
            self.known = Known::Absent;
        }
    }

    /// The event was not handled.
    fn give_up(
        &mut self,
        runner: &HandlerRunner,
        event: &RecordedEvent,
        failed: Failed,
        earlier: Option<&ParkedKey>,
    ) {
        let now = runner.clock.now();
        let retry_at = match failed.action {
            ProcessAction::Stop => {
                self.stops = Some(failed.text);
                return;
            }
            ProcessAction::RetryAfter(delay) => {
                let delay = chrono::Duration::from_std(delay).unwrap_or(chrono::Duration::MAX);
                Some(now.checked_add_signed(delay).unwrap_or(DateTime::<Utc>::MAX_UTC))
            }
            _ => None,
        };
        self.left.push(event.position);
        self.parked = Some(ParkedKey {
            key: self.id.as_ref().to_owned(),
            position: event.position,
            error: failed.text,
            attempts: failed.attempts,
            first_failed_at: failed.first_failed_at,
            parked_at: earlier.map_or(now, |parked| parked.parked_at),
            retry_at,
        });
    }
}

/// Why an event cannot be decoded. It is asked once more, since it cannot be kept for several attempts.
fn undecodable<P: ProcessManager>(runner: &HandlerRunner, event: &RecordedEvent) -> Option<DecodeError> {
    decode::<P::Event, DecodeError>(&runner.registry, event, |_| Ok(())).err()
}
