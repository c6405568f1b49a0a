use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::ambient::HandlerKey;
use crate::dispatch::{Consistency, Pending};
use crate::handler::parked::PARKED;
use crate::handler::{HandlerControl, Role, Waiters};
use crate::store::{CheckpointStore, EventFilter, StreamId};
use crate::subscription::Subscriber;

/// What a handler is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HandlerState {
    /// It has not begun yet.
    Starting,
    /// It handles events, or waits for some.
    Running,
    /// Another node handles its events. This one takes over when that one stops or is not heard of any more.
    Passive,
    /// It handles nothing until it is resumed.
    Paused,
    /// An event failed and will be tried again, or the store could not tell which node is to run the handler, and
    /// will be asked again.
    Retrying,
    /// It crashed and will be started again.
    Restarting,
    /// It gave up at an event, and stays there until the application is started again. Another node may run it
    /// meanwhile, and try the event.
    Failed,
    /// It was stopped with the application.
    Stopped,
}

impl HandlerState {
    /// Whether it will not come further by itself.
    #[must_use]
    pub fn is_down(self) -> bool {
        matches!(self, Self::Failed | Self::Paused | Self::Stopped)
    }
}

impl fmt::Display for HandlerState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Passive => "passive",
            Self::Paused => "paused",
            Self::Retrying => "retrying",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        })
    }
}

/// A handler, for people who look.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerStatus {
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub state: HandlerState,
    /// The position up to which nothing is left for it to handle; as far as this node knows, when the handler is
    /// passive here.
    pub position: u64,
    /// How far that is from the end of the log.
    pub lag: u64,
    /// How many keys are parked; as far as this node knows, when the handler is passive here.
    pub parked: usize,
    /// The error of its last failure, until it handles an event again.
    pub last_error: Option<String>,
}

/// What a handler tells about itself while it runs.
#[derive(Clone, Debug)]
pub(crate) struct HandlerProgress {
    pub(crate) state: HandlerState,
    /// Everything up to here is handled.
    pub(crate) position: u64,
    /// The lowest position of which it has commands that are not carried out yet.
    pub(crate) unsent: Option<u64>,
    pub(crate) parked: usize,
    pub(crate) last_error: Option<Arc<str>>,
}

impl HandlerProgress {
    /// That of a handler that has not begun.
    pub(crate) fn sender() -> watch::Sender<Self> {
        watch::Sender::new(Self {
            state: HandlerState::Starting,
            position: 0,
            unsent: None,
            parked: 0,
            last_error: None,
        })
    }
}

/// The events that a dispatch waits for to be handled.
pub(crate) struct Awaited<'a> {
    pub(crate) event_types: &'a [&'static str],
    pub(crate) stream_id: &'a StreamId,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// The handlers of an application instance and how far they have come: what a strong dispatch waits at.
#[derive(Default)]
pub(crate) struct HandlerBoard {
    entries: Vec<Entry>,
    by_name: HashMap<Arc<str>, usize>,
}

/// A handler of the board.
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    strong: bool,
    pub(crate) role: Role,
    pub(crate) filter: EventFilter,
    subscriber: Arc<Subscriber>,
    waiters: Arc<Waiters>,
    pub(crate) control: Arc<HandlerControl>,
    pub(crate) progress: watch::Receiver<HandlerProgress>,
}

impl HandlerBoard {
    pub(crate) fn add(
        &mut self,
        name: Arc<str>,
        strong: bool,
        role: Role,
        subscriber: Arc<Subscriber>,
        waiters: Arc<Waiters>,
        control: Arc<HandlerControl>,
    ) -> watch::Sender<HandlerProgress> {
        let sender = HandlerProgress::sender();
        let receiver = sender.subscribe();
        self.by_name.insert(Arc::clone(&name), self.entries.len());
        let filter = subscriber.filter.clone();
        self.entries.push(Entry {
            name,
            strong,
            role,
            filter,
            subscriber,
            waiters,
            control,
            progress: receiver,
        });
        sender
    }

    /// The handlers that a dispatch with this consistency waits for, except the one it is made in: waiting
    /// for itself would never end. An unknown name is the error.
    pub(crate) fn selected(
        &self,
        consistency: &Consistency,
        own: Option<&HandlerKey>,
    ) -> Result<Vec<usize>, String> {
        let is_own = |index: &usize| own.is_some_and(|own| own.name == self.entries[*index].name);
        let selected: Vec<usize> = match consistency {
            Consistency::Eventual => Vec::new(),
            Consistency::Strong => {
                (0..self.entries.len()).filter(|index| self.entries[*index].strong).collect()
            }
            Consistency::Handlers(names) => names
                .iter()
                .map(|name| self.by_name.get(&**name).copied().ok_or_else(|| name.clone().into_owned()))
                .collect::<Result<_, _>>()?,
        };
        Ok(selected.into_iter().filter(|index| !is_own(index)).collect())
    }

    /// Waits until the handlers that are interested in one of the events have come to the last of them. Gives who has
    /// not, when the time is up or a handler is down, and who has parked them.
    pub(crate) async fn wait(
        &self,
        checkpoints: &dyn CheckpointStore,
        handlers: &[usize],
        awaited: &Awaited<'_>,
        limit: Duration,
    ) -> Vec<Pending> {
        let deadline = Instant::now().checked_add(limit);
        let mut pending = Vec::new();
        for entry in handlers.iter().map(|index| &self.entries[*index]) {
            if !awaited.event_types.iter().any(|name| entry.filter.accepts(name)) {
                continue;
            }
            let reached = entry.reach(awaited.last);
            // One deadline for all: the first handler may use it up, the others are then looked at once.
            match deadline {
                Some(deadline) => drop(timeout_at(deadline, reached).await),
                None => drop(reached.await),
            }
            let position = entry.position();
            let is_parked = position >= awaited.last && entry.has_parked(checkpoints, awaited).await;
            if position < awaited.last || is_parked {
                pending.push(Pending {
                    handler: entry.name.as_ref().to_owned(),
                    position,
                    state: entry.progress().state,
                    is_parked,
                });
            }
        }
        pending
    }

    /// The handlers that have not come to an end.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let unfinished = self.entries.iter().filter(|entry| !entry.progress().state.is_down());
        unfinished.map(|entry| entry.name.as_ref().to_owned()).collect()
    }

    /// All handlers; `head` is the end of the log.
    pub(crate) fn statuses(&self, head: u64) -> Vec<HandlerStatus> {
        self.entries.iter().map(|entry| entry.status(head)).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|index| &self.entries[*index])
    }
}

#[cfg(feature = "testing")]
impl HandlerBoard {
    /// Waits until every handler has come to position `head`, those named in `without` left out; `false` as
    /// soon as one that has not is down.
    pub(crate) async fn reach(&self, head: u64, without: &[String]) -> bool {
        let counts = |entry: &&Entry| !without.iter().any(|name| **name == *entry.name);
        let reached = self.entries.iter().filter(counts).map(|entry| entry.reach(head));
        futures_util::future::try_join_all(reached).await.is_ok()
    }
}

impl Entry {
    /// The handler, for people who look; `head` is the end of the log.
    pub(crate) fn status(&self, head: u64) -> HandlerStatus {
        let progress = self.progress();
        let position = self.position();
        HandlerStatus {
            name: self.name.as_ref().to_owned(),
            state: progress.state,
            position,
            lag: head.saturating_sub(position),
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

    /// The position up to which nothing is left to handle.
    pub(crate) fn position(&self) -> u64 {
        let (handled, unsent) = {
            let progress = self.progress.borrow();
            (progress.position, progress.unsent)
        };
        let handled = self.subscriber.clear_to().unwrap_or(0).max(handled);
        unsent.map_or(handled, |unsent| handled.min(unsent.saturating_sub(1)))
    }

    /// Whether the handler has left one of these events for later. Another node's handler is asked for by the stream.
    async fn has_parked(&self, checkpoints: &dyn CheckpointStore, awaited: &Awaited<'_>) -> bool {
        if self.progress().state != HandlerState::Passive {
            return self.control.has_left(awaited.first, awaited.last);
        }
        let key = awaited.stream_id.as_str();
        matches!(checkpoints.record(&self.name, PARKED, key).await, Ok(Some(parked)) if parked.position <= awaited.last)
    }

    /// Waits until the handler has come to position `head`; the error is that it is down before.
    pub(crate) async fn reach(&self, head: u64) -> Result<(), ()> {
        let mut progress = self.progress.clone();
        let mut waiter = None;
        loop {
            // Made before the look, so that what moves after it is noticed.
            let moved = self.subscriber.moved();
            let is_down = progress.borrow_and_update().state.is_down();
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
        formatter.debug_set().entries(self.entries.iter().map(|entry| &entry.name)).finish()
    }
}
