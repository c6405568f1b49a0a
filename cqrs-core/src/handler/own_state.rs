//! The state of a handler: read when a tenure begins, changed by events, and written together with the checkpoint.

use std::any::Any;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::error_text::error_text;
use crate::handler::kept_state::is_kept;
use crate::handler::react::Reactions;
use crate::handler::worker::End;
use crate::handler::{EventHandler, HandlerRunner, HandlerState, KeptState, PARKED, ParkedKey, Tenure};
use crate::panics;
use crate::store::{HandlerCommit, HandlerRecord, StoreError};

/// The kind and the key of the record that holds a handler's state. Its position is that of the last event that has
/// changed it.
pub(crate) const STATE: &str = "state";

/// The state that a handler has in a tenure, once it is read. It is always that of the position to which the handler has
/// come, so that both can be written at any time.
#[derive(Default)]
pub(crate) struct OwnState(Mutex<Option<Known>>);

struct Known {
    state: Box<dyn Encode>,
    /// Up to where events have changed it: they do not change it again.
    seen: u64,
    /// Whether it is another one than the one that is written.
    is_changed: bool,
}

/// A state whose type is no longer known.
trait Encode: Any + Send {
    fn encode(&self) -> Result<Vec<u8>, serde_json::Error>;
}

impl<S: KeptState> Encode for S {
    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// Why a handler cannot go on with its state.
#[derive(Debug, thiserror::Error)]
enum StateFault {
    #[error(
        "the state of handler {handler:?} cannot be read: keep the fields that it had, with `#[serde(default)]` for new ones, or reset the handler"
    )]
    Unreadable {
        handler: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the state of handler {handler:?} cannot be read: {panic}")]
    Panicked { handler: String, panic: String },
    #[error("the state of handler {handler:?} cannot be written as JSON")]
    Unwritable {
        handler: String,
        #[source]
        source: serde_json::Error,
    },
}

impl OwnState {
    fn is_known(&self) -> bool {
        self.lock().is_some()
    }

    fn know<S: KeptState>(&self, state: S, seen: u64) {
        *self.lock() = Some(Known { state: Box::new(state), seen, is_changed: false });
    }

    /// What an attempt may change.
    pub(crate) fn copy<S: KeptState>(&self) -> S {
        let known = self.lock();
        let state = known.as_ref().and_then(|known| (&*known.state as &dyn Any).downcast_ref::<S>());
        state.cloned().unwrap_or_default()
    }

    /// Whether events up to here have changed it.
    pub(crate) fn has_seen(&self, position: u64) -> bool {
        self.lock().as_ref().is_some_and(|known| position <= known.seen)
    }

    /// An attempt has passed, at the event of that position, or at an earlier one.
    fn change<S: KeptState>(&self, state: S, position: u64) {
        if let Some(known) = &mut *self.lock() {
            known.state = Box::new(state);
            known.seen = known.seen.max(position);
            known.is_changed = true;
        }
    }

    /// What is to be written, if there is anything new.
    fn record(&self) -> Result<Option<HandlerRecord>, serde_json::Error> {
        let known = self.lock();
        let Some(known) = known.as_ref().filter(|known| known.is_changed) else { return Ok(None) };
        let data = Bytes::from(known.state.encode()?);
        let (kind, key) = (STATE.into(), STATE.to_owned());
        Ok(Some(HandlerRecord { kind, key, position: known.seen, due_at: None, data }))
    }

    /// It is written as it is.
    pub(crate) fn written(&self) {
        if let Some(known) = &mut *self.lock() {
            known.is_changed = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandlerRunner {
    /// Adds to a commit the state that belongs to it. A handler whose state cannot be written does not go on.
    pub(crate) fn with_state(&self, commit: HandlerCommit, tenure: &Tenure) -> Result<HandlerCommit, End> {
        // What the commit says of it itself counts.
        if commit.records.contains_key(&(STATE.into(), STATE.to_owned())) {
            return Ok(commit);
        }
        match tenure.state.record() {
            Ok(Some(record)) => Ok(commit.put(record)),
            Ok(None) => Ok(commit),
            Err(source) => {
                let handler = self.name.as_ref().to_owned();
                Err(self.fail(&StateFault::Unwritable { handler, source }))
            }
        }
    }

    /// Writes records with which the handler's memory agrees only if they are written. Where that is not known in the end,
    /// nothing more is written in this tenure, and the next one reads all of it again.
    pub(crate) async fn commit_or_end(&self, commit: HandlerCommit, tenure: &mut Tenure) -> Result<(), End> {
        tenure.is_cut_off = true;
        self.commit(commit, tenure).await?;
        tenure.is_cut_off = false;
        Ok(())
    }

    fn fail(&self, fault: &StateFault) -> End {
        let text = error_text(fault);
        tracing::error!(
            cqrs.application = &*self.application,
            cqrs.handler = &*self.name,
            error = text,
            "handler stopped: it handles nothing more until the application is started again"
        );
        self.set_failure(HandlerState::Failed, &text);
        End::Failed
    }
}

/// How it went to read a state.
pub(super) enum StateRead {
    Known,
    /// The store failed.
    Later(StoreError),
    /// It does not help to try again.
    Never(End),
}

impl<H: EventHandler> Reactions<H> {
    /// Reads the state, unless it is known.
    pub(super) async fn read_state(&self, runner: &HandlerRunner, tenure: &Tenure) -> StateRead {
        if !is_kept::<H::State>() || tenure.state.is_known() {
            return StateRead::Known;
        }
        let read = tokio::select! {
            biased;
            () = runner.stop.cancelled() => return StateRead::Never(End::Stopped),
            () = tenure.lease.over() => return StateRead::Never(End::Over),
            read = runner.checkpoints.record(&runner.name, STATE, STATE) => read,
        };
        let record = match read {
            Ok(Some(record)) => record,
            Ok(None) => {
                tenure.state.know(H::State::default(), 0);
                return StateRead::Known;
            }
            Err(error) => return StateRead::Later(error),
        };
        let handler = || runner.name.as_ref().to_owned();
        match panics::catch(|| serde_json::from_slice::<H::State>(&record.data)) {
            Ok(Ok(state)) => {
                tenure.state.know(state, record.position);
                StateRead::Known
            }
            Ok(Err(source)) => {
                StateRead::Never(runner.fail(&StateFault::Unreadable { handler: handler(), source }))
            }
            Err(panic) => StateRead::Never(runner.fail(&StateFault::Panicked { handler: handler(), panic })),
        }
    }

    /// Keeps what an attempt has made of the state. What is tried again out of its turn is written at once: which events
    /// of its key are still to be handled is told by `done`, and must agree with the state.
    pub(super) async fn keep_state(
        &self,
        state: H::State,
        runner: &HandlerRunner,
        done: HandlerCommit,
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        if !is_kept::<H::State>() {
            return Ok(());
        }
        if let Some(position) = done.position {
            // Otherwise it is handled again, though it has changed the state already.
            if !tenure.state.has_seen(position) {
                tenure.state.change(state, position);
            }
            return Ok(());
        }
        tenure.state.change(state, 0);
        runner.commit_or_end(done.clone(), tenure).await?;
        let parked = done.records.into_values().flatten().filter(|record| record.kind == PARKED);
        for parked in parked.filter_map(|record| ParkedKey::of_record(record).ok()) {
            tenure.parked.insert(parked.key.clone(), parked);
        }
        Ok(())
    }

    /// The handler begins anew, and so does its state.
    pub(super) fn forget_state(tenure: &Tenure) {
        if is_kept::<H::State>() {
            tenure.state.know(H::State::default(), 0);
        }
    }
}
