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
    /// How many commands of a position there are, those that are stuck left out.
    positions: BTreeMap<u64, usize>,
    len: usize,
}

/// The commands of an instance.
#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Pending>,
    state: LaneState,
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
            let cause = Cause {
                causation_id: command.causation_id,
                correlation_id: command.correlation_id,
                metadata: command.metadata.clone(),
            };
            let ambient = runner.caller().ambient_of(&cause);
            let core = runner.core.clone();
            self.flights.spawn(async move {
                let result = send(core, command, ambient).await;
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

    /// Whether an instance has no commands.
    pub(crate) fn is_empty(&self, id: &str) -> bool {
        !self.lanes.contains_key(id)
    }

    /// The commands of an instance behind the first one, or all if that is not on its way.
    pub(crate) fn unsent(&self, id: &str) -> Vec<SentCommand> {
        let Some(lane) = self.lanes.get(id) else { return Vec::new() };
        let sending = usize::from(lane.state == LaneState::Sending);
        lane.queue.iter().skip(sending).map(Pending::sent).collect()
    }

    /// Removes the first command of an instance; the next one can go.
    pub(crate) fn pop(&mut self, id: &str) -> Option<Pending> {
        let lane = self.lanes.get_mut(id)?;
        let was_stuck = lane.state == LaneState::Stuck;
        let command = lane.queue.pop_front()?;
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

    /// Puts another command in the place of the first one of an instance; it can go.
    pub(crate) fn replace(&mut self, id: &Arc<str>, command: Pending) {
        let Some(lane) = self.lanes.get_mut(id) else { return };
        if let Some(first) = lane.queue.front_mut() {
            release(&mut self.positions, first.position);
            *self.positions.entry(command.position).or_default() += 1;
            *first = command;
            lane.state = LaneState::Ready;
            self.ready.push_back(Arc::clone(id));
        }
    }

    /// Drops the commands of an instance that are not on their way, and gives them.
    pub(crate) fn discard(&mut self, id: &str) -> Vec<Pending> {
        let Some(lane) = self.lanes.get_mut(id) else { return Vec::new() };
        let kept = usize::from(lane.state == LaneState::Sending);
        let dropped: Vec<_> = lane.queue.drain(kept..).collect();
        if lane.state != LaneState::Stuck {
            dropped.iter().for_each(|command| release(&mut self.positions, command.position));
        }
        self.len -= dropped.len();
        if lane.queue.is_empty() {
            self.lanes.remove(id);
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
            lane.state = LaneState::Stuck;
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

async fn send(core: Weak<Core>, command: Pending, ambient: Ambient) -> Result<(), DispatchError<Rejection>> {
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
