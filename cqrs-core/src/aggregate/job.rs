use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::Span;

use crate::aggregate::Aggregate;
use crate::command::{ErasedCommand, Run};
use crate::dispatch::{DispatchError, TimeoutOutcome};
use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId};
use crate::middleware::DispatchContext;

/// A command in the queue of its aggregate.
pub(crate) struct Job<A: Aggregate> {
    pub(crate) order: Order<A>,
    pub(crate) reply: Replier<A>,
}

/// What is to be done.
pub(crate) struct Order<A: Aggregate> {
    pub(crate) command: Arc<dyn ErasedCommand>,
    pub(crate) run: Run<A>,
    pub(crate) command_id: CommandId,
    pub(crate) append_id: CommandId,
    /// Whether the caller chose the append's id, under which the outcome is kept whatever it is.
    pub(crate) is_keyed: bool,
    /// Whether that id may have been used before.
    pub(crate) may_be_repetition: bool,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) causation_id: Option<CausationId>,
    pub(crate) metadata: Metadata,
    pub(crate) expected_version: Option<u64>,
    pub(crate) retry_attempts: u32,
    /// How long the command may take, and until when: no append begins later.
    pub(crate) limit: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) progress: Progress,
    pub(crate) span: Span,
}

/// What came of it.
pub(crate) struct Success<A: Aggregate> {
    pub(crate) version: u64,
    pub(crate) position: Option<u64>,
    pub(crate) events: Vec<A::Event>,
    pub(crate) state: Arc<A>,
    pub(crate) repeated: bool,
}

impl<A: Aggregate> Order<A> {
    /// Whether the time of the command is up. A decision that blocks its thread keeps its caller from noticing.
    pub(crate) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// The answer to a command, or why there is none.
pub(crate) type Outcome<A> = Result<Success<A>, DispatchError<<A as Aggregate>::Error>>;

type Reply<A> = oneshot::Receiver<Outcome<A>>;

/// Where the outcome goes; closed when the caller has gone.
pub(crate) type Replier<A> = oneshot::Sender<Outcome<A>>;

impl<A: Aggregate> Job<A> {
    pub(crate) fn new(context: &DispatchContext, run: Run<A>, progress: Progress) -> (Self, Reply<A>) {
        let (reply, receiver) = oneshot::channel();
        let order = Order {
            command: context.command.share(),
            run,
            command_id: context.command_id,
            append_id: context.append_id,
            is_keyed: context.is_keyed,
            may_be_repetition: context.may_be_repetition,
            correlation_id: context.correlation_id,
            causation_id: context.causation_id,
            metadata: context.metadata.clone(),
            expected_version: context.expected_version,
            retry_attempts: context.options.retry_attempts,
            limit: context.timeout(),
            deadline: context.deadline(),
            progress,
            span: Span::current(),
        };
        (Self { order, reply }, receiver)
    }
}

/// How far a job has come: what makes a timeout tell "did not run" from "outcome unknown".
///
/// The caller gives up, the aggregate begins to append; whoever is first decides. A command that may be a
/// repetition is open from the start: until the store has said otherwise, its events may be there already.
pub(crate) struct Progress(Arc<AtomicU8>);

/// The caller's side of [`Progress`].
pub(crate) struct Watched(Arc<AtomicU8>);

/// Nothing of the command is stored.
const DECIDING: u8 = 0;
/// Its events may be stored.
const OPEN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Progress {
    pub(crate) fn new(may_be_repetition: bool) -> (Self, Watched) {
        let state = Arc::new(AtomicU8::new(if may_be_repetition { OPEN } else { DECIDING }));
        (Self(Arc::clone(&state)), Watched(state))
    }

    /// Whether the caller has given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.load(Ordering::Acquire) == GIVEN_UP
    }

    /// Takes the right to append; `false` when the caller has given up.
    pub(crate) fn begin_append(&self) -> bool {
        self.0.compare_exchange(DECIDING, OPEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Nothing is stored, the store has said so. A caller that gave up meanwhile was told "unknown" and is
    /// not answered any more.
    pub(crate) fn nothing_stored(&self) {
        let _ = self.0.compare_exchange(OPEN, DECIDING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Whether the events may be stored.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) == OPEN
    }
}

impl Watched {
    /// Gives the command up, and tells what that means.
    pub(crate) fn give_up(&self) -> TimeoutOutcome {
        match self.0.swap(GIVEN_UP, Ordering::AcqRel) {
            OPEN => TimeoutOutcome::Unknown,
            _ => TimeoutOutcome::DidNotRun,
        }
    }
}

/// A caller that drops its dispatch gives it up.
impl Drop for Watched {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<A: Aggregate> fmt::Debug for Job<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Job").field("command_id", &self.order.command_id).finish_non_exhaustive()
    }
}
