use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::ambient::HandlerKey;
use crate::dispatch::{Consistency, Pending};
use crate::handler::parked::PARKED;
use crate::handler::partition::Partition;
use crate::handler::{HandlerControl, HandlerProgress, HandlerState, HandlerStatus, KeysOf, Role, Waiters};
use crate::id::CorrelationId;
use crate::process_manager::has_stuck;
use crate::projection::ProjectionControl;
use crate::store::{CheckpointStore, EventFilter, EventStore, StreamId, all_records};
use crate::subscription::Subscriber;

/// The events that a dispatch waits for to be handled.
pub(crate) struct Awaited<'a> {
    pub(crate) event_types: &'a [&'static str],
    pub(crate) stream_id: &'a StreamId,
    /// `None` when it is not known, as of a command that was repeated.
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Awaited<'_> {
    /// Whether one of them may pass.
    fn concern(&self, filter: &EventFilter) -> bool {
        let belongs = |only| self.correlation_id.is_none_or(|own| own == only);
        filter.includes(self.stream_id)
            && filter.only_correlation().is_none_or(belongs)
            && self.event_types.iter().any(|name| filter.accepts(name))
    }
}

/// The handlers of an application instance and how far they have come: what a strong dispatch waits at.
#[derive(Default)]
pub(crate) struct HandlerBoard(RwLock<Listed>);

#[derive(Default)]
struct Listed {
    entries: Vec<Arc<Entry>>,
    /// The names of those that are on the board, and of those that are on their way there or not quite gone.
    names: HashSet<Arc<str>>,
}

/// A handler of the board.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) strong: bool,
    /// Whether it has handled the events of a dispatch by the time that they are stored.
    pub(crate) is_inline: bool,
    pub(crate) role: Role,
    pub(crate) filter: EventFilter,
    /// Behind which parked keys an event waits.
    pub(crate) keys_of: Box<KeysOf>,
    /// The projection that it is, for whoever looks after it.
    pub(crate) projection: Option<Arc<dyn ProjectionControl>>,
    /// Has it finish its event and stop.
    pub(crate) stop: CancellationToken,
    /// Ends it at once.
    pub(crate) cut_off: CancellationToken,
    /// Closed when nothing of it runs any more.
    pub(crate) running: watch::Receiver<()>,
    /// Its partitions, by their index; a handler that is not divided is one.
    pub(crate) parts: Vec<Part>,
}

/// What runs of a handler by itself.
pub(crate) struct Part {
    pub(crate) name: Arc<str>,
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) control: Arc<HandlerControl>,
    pub(crate) progress: watch::Receiver<HandlerProgress>,
}

impl HandlerBoard {
    /// Takes a name; tells whether it was free.
    pub(crate) fn take_name(&self, name: &Arc<str>) -> bool {
        let mut listed = self.write();
        listed.find(name).is_none() && listed.names.insert(Arc::clone(name))
    }

    pub(crate) fn free_name(&self, name: &Arc<str>) {
        self.write().names.remove(name);
    }

    pub(crate) fn add(&self, entry: Arc<Entry>) {
        self.write().entries.push(entry);
    }

    /// Takes a handler off the board, if it may be. Its name is taken until nothing of it runs any more.
    pub(crate) fn remove(&self, name: &str, may_be: impl FnOnce(&Entry) -> bool) -> Option<Arc<Entry>> {
        let mut listed = self.write();
        let index = listed.entries.iter().position(|entry| &*entry.name == name)?;
        may_be(&listed.entries[index]).then(|| listed.entries.remove(index))
    }

    /// The handlers that a dispatch with this consistency waits for, except the one it is made in: waiting
    /// for itself would never end. An unknown name is the error.
    pub(crate) fn selected(
        &self,
        consistency: &Consistency,
        own: Option<&HandlerKey>,
    ) -> Result<Vec<Arc<Entry>>, String> {
        let is_own = |entry: &Entry| own.is_some_and(|own| own.name == entry.name);
        let mut selected: Vec<_> = match consistency {
            Consistency::Eventual => Vec::new(),
            Consistency::Strong => {
                self.read().entries.iter().filter(|entry| entry.strong).map(Arc::clone).collect()
            }
            Consistency::Handlers(names) => {
                let listed = self.read();
                let found =
                    |name: &Cow<'static, str>| listed.find(name).ok_or_else(|| name.clone().into_owned());
                names.iter().map(found).collect::<Result<_, _>>()?
            }
        };
        selected.retain(|entry| !is_own(entry));
        Ok(selected)
    }

    /// Waits until the handlers that are interested in one of the events have come to the last of them. Gives who has
    /// not, when the time is up or a handler is down, and who has parked them.
    pub(crate) async fn wait(
        &self,
        log: &dyn EventStore,
        checkpoints: &dyn CheckpointStore,
        handlers: &[Arc<Entry>],
        awaited: &Awaited<'_>,
        limit: Duration,
    ) -> Vec<Pending> {
        let deadline = Instant::now().checked_add(limit);
        let mut pending = Vec::new();
        for entry in handlers {
            if !awaited.concern(&entry.filter) || entry.is_inline {
                continue;
            }
            let reached = entry.reach(awaited.last);
            // One deadline for all: the first handler may use it up, the others are then looked at once.
            match deadline {
                Some(deadline) => drop(timeout_at(deadline, reached).await),
                None => drop(reached.await),
            }
            let position = entry.position();
            let is_parked = position >= awaited.last && entry.has_parked(log, checkpoints, awaited).await;
            if position < awaited.last || is_parked {
                pending.push(Pending {
                    handler: entry.name.as_ref().to_owned(),
                    position,
                    state: if entry.is_paused_elsewhere() { HandlerState::Paused } else { entry.state() },
                    is_parked,
                });
            }
        }
        pending
    }

    /// The handlers that have not come to an end.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let is_unfinished =
            |entry: &&Arc<Entry>| entry.parts.iter().any(|part| !part.progress().state.is_down());
        let listed = self.read();
        listed.entries.iter().filter(is_unfinished).map(|entry| entry.name.as_ref().to_owned()).collect()
    }

    /// All handlers that there are at the moment.
    pub(crate) fn entries(&self) -> Vec<Arc<Entry>> {
        self.read().entries.clone()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<Entry>> {
        self.read().find(name)
    }

    fn read(&self) -> RwLockReadGuard<'_, Listed> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Listed> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listed {
    fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.entries.iter().find(|entry| &*entry.name == name).map(Arc::clone)
    }
}

#[cfg(feature = "testing")]
impl HandlerBoard {
    /// All handlers; `head` is the end of the log.
    pub(crate) fn statuses(&self, head: u64) -> Vec<HandlerStatus> {
        self.read().entries.iter().map(|entry| entry.status(head)).collect()
    }

    /// Waits until every handler has come to position `head`, those named in `without` left out; `false` as
    /// soon as one that has not is down.
    pub(crate) async fn reach(&self, head: u64, without: &[String]) -> bool {
        let entries = self.entries();
        let counts = |entry: &&Arc<Entry>| !without.iter().any(|name| **name == *entry.name);
        let reached = entries.iter().filter(counts).map(|entry| entry.reach(head));
        futures_util::future::try_join_all(reached).await.is_ok()
    }
}

impl Entry {
    /// The handler, for people who look; `head` is the end of the log. What `Core::with_lag` adds is not there yet.
    pub(crate) fn status(&self, head: u64) -> HandlerStatus {
        let position = self.position();
        let progress: Vec<_> = self.parts.iter().map(Part::progress).collect();
        HandlerStatus {
            name: self.name.as_ref().to_owned(),
            state: self.state(),
            position,
            lag: head.saturating_sub(position),
            lag_time: None,
            parked: progress.iter().map(|part| part.parked).sum(),
            last_error: progress.iter().find_map(|part| part.last_error.as_deref().map(str::to_owned)),
        }
    }

    /// Is ready when nothing of it runs any more.
    pub(crate) async fn ended(&self) {
        let mut running = self.running.clone();
        while running.changed().await.is_ok() {}
    }

    fn state(&self) -> HandlerState {
        let states = self.parts.iter().map(|part| part.progress().state);
        states.max_by_key(|state| state.trouble()).unwrap_or(HandlerState::Stopped)
    }

    /// The partition that keeps what belongs to a key.
    pub(crate) fn part_of(&self, key: &str) -> &Part {
        let count = u16::try_from(self.parts.len()).unwrap_or(u16::MAX);
        &self.parts[usize::from(Partition::of_key(key, count).index)]
    }

    /// The position up to which nothing is left to handle.
    pub(crate) fn position(&self) -> u64 {
        self.parts.iter().map(Part::position).min().unwrap_or_default()
    }

    /// Whether the handler has left one of these events for later. What another node has left is looked for in the store.
    async fn has_parked(
        &self,
        log: &dyn EventStore,
        checkpoints: &dyn CheckpointStore,
        awaited: &Awaited<'_>,
    ) -> bool {
        for part in &self.parts {
            let state = part.progress.borrow().state;
            let has_left = match state {
                HandlerState::Passive => {
                    self.has_parked_elsewhere(&part.name, log, checkpoints, awaited).await
                }
                _ => part.control.has_left(awaited.first, awaited.last),
            };
            if has_left {
                return true;
            }
        }
        false
    }

    async fn has_parked_elsewhere(
        &self,
        part: &str,
        log: &dyn EventStore,
        checkpoints: &dyn CheckpointStore,
        awaited: &Awaited<'_>,
    ) -> bool {
        let Awaited { first, last, .. } = *awaited;
        let parked = all_records(checkpoints, part, PARKED).await.unwrap_or_default();
        let (earlier, own): (Vec<_>, Vec<_>) = parked
            .into_iter()
            .filter(|parked| parked.position <= last)
            .partition(|parked| parked.position < first);
        let earlier: HashSet<_> = earlier.into_iter().map(|parked| parked.key).collect();
        !own.is_empty()
            || (!earlier.is_empty() && self.wait_behind(&earlier, log, awaited).await)
            || (self.role == Role::ProcessManager
                && has_stuck(checkpoints, part, first, last).await.unwrap_or(false))
    }

    /// Whether one of these events waits behind one of the keys.
    async fn wait_behind(&self, keys: &HashSet<String>, log: &dyn EventStore, awaited: &Awaited<'_>) -> bool {
        if keys.contains(awaited.stream_id.as_str()) {
            return true;
        }
        let Awaited { first, last, .. } = *awaited;
        let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        let Ok(page) = log.read_log(first.saturating_sub(1), &self.filter, count).await else { return false };
        let events = page.events.iter().take_while(|event| event.position <= last);
        events.flat_map(|event| (self.keys_of)(event)).any(|key| keys.contains(&key))
    }

    fn is_paused_elsewhere(&self) -> bool {
        self.parts.iter().any(|part| part.progress.borrow().is_paused_elsewhere)
    }

    /// Whether an event of this stretch was left for later, as far as this node knows.
    pub(crate) fn has_left(&self, first: u64, last: u64) -> bool {
        self.parts.iter().any(|part| part.control.has_left(first, last))
    }

    /// Waits until the handler has come to position `head`; the error is that it is down before.
    pub(crate) async fn reach(&self, head: u64) -> Result<(), ()> {
        match &*self.parts {
            [part] => part.reach(head).await,
            parts => {
                futures_util::future::try_join_all(parts.iter().map(|part| part.reach(head))).await.map(drop)
            }
        }
    }
}

impl Part {
    pub(crate) fn status(&self, head: u64) -> HandlerStatus {
        let progress = self.progress();
        let position = self.position();
        HandlerStatus {
            name: self.name.as_ref().to_owned(),
            state: progress.state,
            position,
            lag: head.saturating_sub(position),
            lag_time: None,
            parked: progress.parked,
            last_error: progress.last_error.as_deref().map(str::to_owned),
        }
    }

    /// What the handler says about itself; one that is gone without a word was cut off.
    fn progress(&self) -> HandlerProgress {
        // Asked first: what the handler said last is seen when it has gone.
        let is_gone = self.progress.has_changed().is_err();
        let mut progress = self.progress.borrow().clone();
        if is_gone && !progress.state.is_down() {
            progress.state = HandlerState::Stopped;
        }
        progress
    }

    fn position(&self) -> u64 {
        let (handled, unsent) = {
            let progress = self.progress.borrow();
            (progress.position, progress.unsent)
        };
        let handled = self.subscriber.clear_to().unwrap_or(0).max(handled);
        unsent.map_or(handled, |unsent| handled.min(unsent.saturating_sub(1)))
    }

    async fn reach(&self, head: u64) -> Result<(), ()> {
        let mut progress = self.progress.clone();
        let looks = progress.borrow().looks;
        let mut waiter = None;
        loop {
            // Made before the look, so that what moves after it is noticed.
            let moved = self.subscriber.moved();
            let is_down = {
                let progress = progress.borrow_and_update();
                // One look may have been under way already, and have seen what is over by now.
                let is_paused = progress.is_paused_elsewhere && progress.looks > looks + 1;
                progress.state.is_down() || is_paused
            };
            if self.position() >= head {
                return Ok(());
            }
            if is_down {
                return Err(());
            }
            if waiter.is_none() {
                // A handler moves in silence while nobody waits: it may have done so since the look.
                waiter = Some(self.waiters.enter());
                continue;
            }
            tokio::select! {
                () = moved => {}
                changed = progress.changed() => changed.map_err(|_| ())?,
            }
        }
    }
}

impl fmt::Debug for HandlerBoard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.read().entries.iter().map(|entry| &entry.name)).finish()
    }
}
