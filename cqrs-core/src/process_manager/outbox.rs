use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};

use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep_until};

use crate::ambient::Ambient;
use crate::application::{ApplicationState, Core};
use crate::dispatch::{CallOptions, DispatchDefaults, DispatchError, PanicPlace, Rejection};
use crate::handler::HandlerRunner;
use crate::panics;
use crate::process_manager::SentCommand;
use crate::process_manager::command::Pending;
use crate::process_manager::long_ago::LongAgo;
use crate::process_manager::process::Cause;

/// The commands that are written down and not carried out yet: those of one instance one after the other, those of
/// different instances side by side. Dropping it ends what is on its way, which is sent again later under the same ids.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lanes: HashMap<Arc<str>, Lane>,
    /// The lanes whose first command can go.
    ready: VecDeque<Arc<str>>,
    /// Those that wait to be tried again.
    waiting: BTreeMap<(Instant, u64), Arc<str>>,
    next_wait: u64,
    flights: JoinSet<Landed>,
    landed: Vec<Landed>,
    long_ago: Arc<LongAgo>,
    /// How many commands of a position there are, those that are stuck left out.
    positions: BTreeMap<u64, usize>,
    len: usize,
}

/// The commands of an instance.
#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Pending>,
    state: LaneState,
    /// How many of its first commands may have been sent, by this tenure or an earlier one: they may be carried out.
    sent: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum LaneState {
    /// The first command can go.
    #[default]
    Ready,
    /// The first command is on its way.
    Sending,
    /// The first command waits to be tried again.
    Waiting,
    /// The first command was set aside.
    Stuck,
}

/// A command that was on its way, and what came of it.
#[derive(Debug)]
pub(crate) struct Landed {
    pub(crate) instance: Arc<str>,
    pub(crate) result: Result<(), DispatchError<Rejection>>,
}

impl Outbox {
    /// How many commands wait, those behind a stuck one included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a command behind the earlier ones of its instance.
    pub(crate) fn push(&mut self, command: Pending) {
        let id = Arc::clone(&command.instance);
        let is_stuck = command.stuck.is_some();
        self.len += 1;
        let lane = self.lanes.entry(Arc::clone(&id)).or_default();
        let is_first = lane.queue.is_empty();
        if is_first && is_stuck {
            lane.state = LaneState::Stuck;
        } else if is_first {
            lane.state = LaneState::Ready;
            self.ready.push_back(id);
        }
        // What waits behind a stuck one keeps nobody waiting either.
        if lane.state != LaneState::Stuck {
            *self.positions.entry(command.position).or_default() += 1;
        }
        lane.queue.push_back(command);
    }

    /// Adds a command that an earlier tenure has left. It may have sent it, unless that stands behind one that was set
    /// aside.
    pub(crate) fn restore(&mut self, command: Pending) {
        let id = Arc::clone(&command.instance);
        self.push(command);
        if let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.state != LaneState::Stuck) {
            lane.sent = lane.queue.len();
        }
    }

    /// How many commands go on by themselves.
    pub(crate) fn active(&self) -> usize {
        self.positions.values().sum()
    }

    /// The lowest position of which there are commands that go on by themselves.
    pub(crate) fn lowest(&self) -> Option<u64> {
        self.positions.keys().next().copied()
    }

    /// Sends what can go, at most `limit` at a time.
    pub(crate) fn pump(&mut self, runner: &HandlerRunner, limit: usize) {
        while self.flights.len() < limit {
            let Some(id) = self.ready.pop_front() else { return };
            let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.state == LaneState::Ready) else {
                continue;
            };
            let Some(first) = lane.queue.front_mut() else { continue };
            let command = first.clone();
            first.is_new = false;
            lane.state = LaneState::Sending;
            lane.sent = lane.sent.max(1);
            let cause = Cause {
                causation_id: command.causation_id,
                correlation_id: command.correlation_id,
                metadata: command.metadata.clone(),
            };
            let ambient = runner.caller().ambient_of(&cause);
            let core = runner.core.clone();
            let long_ago = Arc::clone(&self.long_ago);
            self.flights.spawn(async move {
                let result = send(core, command, ambient, &long_ago).await;
                Landed { instance: id, result }
            });
        }
    }

    /// Is ready when a command has come to its end, or can be tried again.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn moved(&mut self) {
        if !self.landed.is_empty() {
            return;
        }
        let wait = self.waiting.keys().next().map(|(at, _)| *at);
        tokio::select! {
            Some(Ok(landed)) = self.flights.join_next(), if !self.flights.is_empty() => self.landed.push(landed),
            () = sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => {}
            else => std::future::pending().await,
        }
    }

    /// Waits for all that is on its way.
    pub(crate) async fn land(&mut self) {
        while let Some(landed) = self.flights.join_next().await {
            self.landed.extend(landed.ok());
        }
    }

    /// What has come to its end since this was asked last; and what has waited long enough can go.
    pub(crate) fn take_landed(&mut self) -> Vec<Landed> {
        while let Some(landed) = self.flights.try_join_next() {
            self.landed.extend(landed.ok());
        }
        let now = Instant::now();
        while let Some(entry) = self.waiting.first_entry().filter(|entry| entry.key().0 <= now) {
            let id = entry.remove();
            if let Some(lane) = self.lanes.get_mut(&id).filter(|lane| lane.state == LaneState::Waiting) {
                lane.state = LaneState::Ready;
                self.ready.push_back(id);
            }
        }
        std::mem::take(&mut self.landed)
    }

    /// The first command of an instance.
    pub(crate) fn first(&mut self, id: &str) -> Option<&mut Pending> {
        self.lanes.get_mut(id)?.queue.front_mut()
    }

    /// The commands of an instance, in their order.
    pub(crate) fn of(&self, id: &str) -> impl Iterator<Item = &Pending> {
        self.lanes.get(id).into_iter().flat_map(|lane| &lane.queue)
    }

    /// Whether the first command of an instance was set aside.
    pub(crate) fn is_stuck(&self, id: &str) -> bool {
        self.lanes.get(id).is_some_and(|lane| lane.state == LaneState::Stuck)
    }

    /// The commands of the instance that was `started` there that cannot have been sent.
    pub(crate) fn unsent(&self, id: &str, started: u64) -> Vec<SentCommand> {
        let Some(lane) = self.lanes.get(id) else { return Vec::new() };
        let unsent = lane.queue.iter().skip(lane.sent());
        unsent.filter(|command| command.started == started).map(Pending::sent).collect()
    }

    /// The lanes of a recurring scheduled command in which a time is set aside, the earliest first.
    pub(crate) fn stuck_times(&self, schedule: &str) -> Vec<Arc<str>> {
        let stuck = self.lanes.iter().filter(|(_, lane)| lane.state == LaneState::Stuck);
        let time = |lane: &Lane| lane.queue.front()?.time.clone().filter(|time| *time.schedule == *schedule);
        let times = stuck.filter_map(|(id, lane)| Some((time(lane)?.at, Arc::clone(id))));
        let mut times: Vec<_> = times.collect();
        times.sort_unstable();
        times.into_iter().map(|(_, id)| id).collect()
    }

    /// The first command of an instance was refused, so that those behind it have never been sent.
    pub(crate) fn refused(&mut self, id: &str) {
        if let Some(lane) = self.lanes.get_mut(id) {
            lane.sent = 0;
        }
    }

    /// Removes the first command of an instance; the next one can go.
    pub(crate) fn pop(&mut self, id: &str) -> Option<Pending> {
        let lane = self.lanes.get_mut(id)?;
        let was_stuck = lane.state == LaneState::Stuck;
        let command = lane.queue.pop_front()?;
        lane.sent = lane.sent.saturating_sub(1);
        self.len -= 1;
        if was_stuck {
            // The others count again.
            for other in &lane.queue {
                *self.positions.entry(other.position).or_default() += 1;
            }
        } else {
            release(&mut self.positions, command.position);
        }
        match lane.queue.is_empty() {
            true => drop(self.lanes.remove(id)),
            false => {
                lane.state = LaneState::Ready;
                self.ready.push_back(Arc::clone(&command.instance));
            }
        }
        Some(command)
    }

    /// Where what undoes the first command of an instance stands in the order of commands: behind the others from before
    /// the instance went back, in front of what undoes earlier ones.
    pub(crate) fn key_of_undo(&self, id: &str) -> String {
        let Some(first) = self.of(id).next() else { return String::new() };
        let from_before = || self.of(id).filter(|command| command.is_from_before_as(first));
        match (from_before().count().saturating_sub(1), from_before().last()) {
            // The later the command, the earlier what undoes it.
            (left @ 1.., Some(last)) => last.key_behind(left),
            _ => first.key.clone(),
        }
    }

    /// Removes the first command of an instance, and puts what undoes it in its place, or behind the others from before
    /// the instance went back. The next one can go.
    pub(crate) fn undo_first(&mut self, id: &Arc<str>, undo: Pending) -> Option<Pending> {
        let lane = self.lanes.get_mut(id)?;
        let first = lane.queue.pop_front()?;
        release(&mut self.positions, first.position);
        *self.positions.entry(undo.position).or_default() += 1;
        let last = lane.queue.iter().rposition(|command| command.is_from_before_as(&first));
        lane.queue.insert(last.map_or(0, |last| last + 1), undo);
        lane.state = LaneState::Ready;
        self.ready.push_back(Arc::clone(id));
        Some(first)
    }

    /// Drops the commands of the instance that was `started` there that cannot have been sent, and gives them. Those that an
    /// earlier instance of this identity has left stay.
    pub(crate) fn discard(&mut self, id: &str, started: u64) -> Vec<Pending> {
        let kept = self.lanes.get(id).map_or(0, Lane::sent);
        self.drop_those(id, |place, command| place >= kept && command.started == started)
    }

    /// Has the instance go back that was `started` there: drops its commands but those that are to be undone if they are
    /// carried out, and whatever stands in front of these. Gives what is dropped.
    pub(crate) fn go_back(&mut self, id: &str, started: u64) -> Vec<Pending> {
        let Some(lane) = self.lanes.get_mut(id) else { return Vec::new() };
        let is_own = |command: &Pending| command.started == started;
        let is_undone = |place: &usize| {
            lane.queue.get(*place).is_some_and(|command| is_own(command) && command.undo.is_some())
        };
        let undone = (0..lane.sent()).rfind(is_undone).map_or(0, |last| last + 1);
        let kept = undone.max(usize::from(lane.state == LaneState::Sending));
        for command in lane.queue.iter_mut().take(kept).filter(|command| is_own(command)) {
            (command.is_compensating, command.is_from_before) = (true, true);
        }
        self.drop_those(id, |place, command| place >= kept && is_own(command))
    }

    /// Drops the commands from before an instance went back but the first one of the lane, and gives them.
    pub(crate) fn discard_from_before(&mut self, id: &str) -> Vec<Pending> {
        self.drop_those(id, |place, command| place > 0 && command.is_from_before)
    }

    /// Drops commands of a lane, by their place in it.
    fn drop_those(&mut self, id: &str, are_dropped: impl Fn(usize, &Pending) -> bool) -> Vec<Pending> {
        let Some(lane) = self.lanes.get_mut(id) else { return Vec::new() };
        let (was_stuck, was_sent) = (lane.state == LaneState::Stuck, lane.sent);
        let is_first_dropped = lane.queue.front().is_some_and(|first| are_dropped(0, first));
        let mut dropped = Vec::new();
        lane.sent = 0;
        for (place, command) in std::mem::take(&mut lane.queue).into_iter().enumerate() {
            match are_dropped(place, &command) {
                true => dropped.push(command),
                false => {
                    lane.sent += usize::from(place < was_sent);
                    lane.queue.push_back(command);
                }
            }
        }
        if !was_stuck {
            dropped.iter().for_each(|command| release(&mut self.positions, command.position));
        }
        self.len -= dropped.len();
        if is_first_dropped {
            // What is left, or comes later, does not wait, nor does anything end its waiting before its time.
            self.waiting.retain(|_, waiting| **waiting != *id);
        }
        if lane.queue.is_empty() {
            self.lanes.remove(id);
        } else if is_first_dropped && matches!(lane.state, LaneState::Stuck | LaneState::Waiting) {
            if was_stuck {
                for command in &lane.queue {
                    *self.positions.entry(command.position).or_default() += 1;
                }
            }
            lane.state = LaneState::Ready;
            self.ready.push_back(id.into());
        }
        dropped
    }

    /// Has the first command of an instance sent again after some time.
    pub(crate) fn send_again(&mut self, id: &Arc<str>, after: Duration) {
        let Some(lane) = self.lanes.get_mut(id) else { return };
        if after.is_zero() {
            lane.state = LaneState::Ready;
            self.ready.push_back(Arc::clone(id));
            return;
        }
        lane.state = LaneState::Waiting;
        let at = Instant::now().checked_add(after).unwrap_or_else(far);
        self.waiting.insert((at, self.next_wait), Arc::clone(id));
        self.next_wait += 1;
    }

    /// Sets the commands of an instance aside.
    pub(crate) fn set_aside(&mut self, id: &str) {
        let Some(lane) = self.lanes.get_mut(id) else { return };
        if lane.state != LaneState::Stuck {
            lane.queue.iter().for_each(|command| release(&mut self.positions, command.position));
            (lane.state, lane.sent) = (LaneState::Stuck, 0);
        }
    }

    /// Has the commands of an instance sent that were set aside.
    pub(crate) fn take_up(&mut self, id: &Arc<str>) {
        let Some(lane) = self.lanes.get_mut(id).filter(|lane| lane.state == LaneState::Stuck) else { return };
        for command in &lane.queue {
            *self.positions.entry(command.position).or_default() += 1;
        }
        lane.state = LaneState::Ready;
        self.ready.push_back(Arc::clone(id));
    }
}

impl Lane {
    /// How many of its first commands are not to be dropped as unsent.
    fn sent(&self) -> usize {
        self.sent.max(usize::from(self.state == LaneState::Sending))
    }
}

fn release(positions: &mut BTreeMap<u64, usize>, position: u64) {
    if let Some(count) = positions.get_mut(&position) {
        *count -= 1;
        if *count == 0 {
            positions.remove(&position);
        }
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(365 * 24 * 3_600)
}

async fn send(
    core: Weak<Core>,
    command: Pending,
    ambient: Ambient,
    long_ago: &LongAgo,
) -> Result<(), DispatchError<Rejection>> {
    let name = command.content.name.as_ref().to_owned();
    let Some(core) = core.upgrade() else {
        return Err(DispatchError::NotRunning {
            application: String::new(),
            state: ApplicationState::Stopped,
        });
    };
    let Some(registration) = core.command(&name) else {
        let application = core.name().to_owned();
        return Err(DispatchError::UnknownCommand { application, command: name });
    };
    if long_ago.has_carried_out(&core, &command).await {
        return Ok(());
    }
    let json = || serde_json::from_str(command.content.data.get()).and_then(registration.from_json);
    let typed = match panics::catch(json) {
        Ok(Ok(typed)) => typed,
        Ok(Err(error)) => return Err(DispatchError::Malformed { command: name, source: error.into() }),
        Err(panic) => return Err(DispatchError::Malformed { command: name, source: panic.into() }),
    };
    let defaults =
        command.timeout().map_or(DispatchDefaults::new(), |limit| DispatchDefaults::new().timeout(limit));
    let call = CallOptions {
        defaults,
        metadata: command.metadata,
        causation_id: Some(command.causation_id),
        correlation_id: Some(command.correlation_id),
        command_id: Some(command.id),
        is_new: command.is_new,
        ..CallOptions::default()
    };
    match panics::catch_async(typed.send(core, call, Some(ambient))).await {
        Ok(Err(error)) if !error.is_committed() => Err(error),
        Ok(_) => Ok(()),
        Err(message) => Err(DispatchError::Panicked {
            command_id: command.id,
            place: PanicPlace::Command(registration.name),
            message,
        }),
    }
}
