use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::command::AnyCommand;
use crate::dispatch::{Consistency, Resolved};
use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId};
use crate::middleware::Extensions;
use crate::store::{EventStore, StreamId};

/// A dispatch on its way through the layers: the command, its ids and its options.
pub struct DispatchContext {
    pub(crate) application: Arc<str>,
    pub(crate) command: AnyCommand,
    pub(crate) command_id: CommandId,
    pub(crate) append_id: CommandId,
    pub(crate) is_keyed: bool,
    pub(crate) may_be_repetition: bool,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) causation_id: Option<CausationId>,
    pub(crate) metadata: Metadata,
    pub(crate) expected_version: Option<u64>,
    pub(crate) options: Resolved,
    pub(crate) extensions: Extensions,
    pub(crate) started: Instant,
    pub(crate) store: Arc<dyn EventStore>,
}

impl DispatchContext {
    /// The name of the application instance.
    #[must_use]
    pub fn application(&self) -> &str {
        &self.application
    }

    /// The command.
    #[must_use]
    pub fn command(&self) -> &AnyCommand {
        &self.command
    }

    /// The command, to be changed; only `before_dispatch` can.
    #[must_use]
    pub fn command_mut(&mut self) -> &mut AnyCommand {
        &mut self.command
    }

    /// The command's id.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        self.command_id
    }

    /// Whether the caller gave the command an id or an idempotency key, so that it can be repeated.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        self.is_keyed
    }

    /// What the command belongs together with.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        self.correlation_id
    }

    /// Sets what the command belongs together with.
    pub fn set_correlation_id(&mut self, id: CorrelationId) {
        self.correlation_id = id;
    }

    /// The message that caused the command.
    #[must_use]
    pub fn causation_id(&self) -> Option<CausationId> {
        self.causation_id
    }

    /// Sets the message that caused the command.
    pub fn set_causation_id(&mut self, id: CausationId) {
        self.causation_id = Some(id);
    }

    /// What is stored with each event of the command.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// What is stored with each event of the command, to be changed.
    #[must_use]
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// The version that the caller expects the aggregate to have.
    #[must_use]
    pub fn expected_version(&self) -> Option<u64> {
        self.expected_version
    }

    /// Sets the version that the aggregate must have.
    pub fn set_expected_version(&mut self, version: u64) {
        self.expected_version = Some(version);
    }

    /// What the dispatch waits for once the events are stored.
    #[must_use]
    pub fn consistency(&self) -> &Consistency {
        &self.options.consistency
    }

    /// Sets what the dispatch waits for.
    pub fn set_consistency(&mut self, consistency: Consistency) {
        self.options.consistency = consistency;
    }

    /// How long the command may take, counted from the start of the dispatch; `None`: for ever.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.options.timeout
    }

    /// Sets how long the command may take.
    pub fn set_timeout(&mut self, limit: Duration) {
        self.options.timeout = Some(limit);
    }

    /// How long the dispatch waits for handlers.
    #[must_use]
    pub fn consistency_timeout(&self) -> Duration {
        self.options.consistency_timeout
    }

    /// Sets how long the dispatch waits for handlers.
    pub fn set_consistency_timeout(&mut self, limit: Duration) {
        self.options.consistency_timeout = limit;
    }

    /// How many times the command is executed again after a version conflict.
    #[must_use]
    pub fn retry_attempts(&self) -> u32 {
        self.options.retry_attempts
    }

    /// Sets how many times the command is executed again after a version conflict.
    pub fn set_retry_attempts(&mut self, attempts: u32) {
        self.options.retry_attempts = attempts;
    }

    /// How long the dispatch has been going on.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Values that layers leave for each other and for the caller.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Values that layers leave for each other and for the caller, to be changed.
    #[must_use]
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        // A limit too far away to be added is no limit.
        self.started.checked_add(self.options.timeout?)
    }
}

impl fmt::Debug for DispatchContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DispatchContext")
            .field("application", &self.application)
            .field("command", &self.command)
            .field("command_id", &self.command_id)
            .field("correlation_id", &self.correlation_id)
            .field("causation_id", &self.causation_id)
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// How a successful dispatch ended, as middleware sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DispatchOutcome {
    /// The command's id.
    pub command_id: CommandId,
    /// The stream of the aggregate.
    pub stream_id: StreamId,
    /// The aggregate's version after.
    pub version: u64,
    /// The position of the last event; `None` when there was none.
    pub position: Option<u64>,
    /// The wire names of the events, in order.
    pub event_types: Vec<&'static str>,
    /// Whether this is the outcome of an earlier dispatch of the same command id.
    pub repeated: bool,
}

/// How a failed dispatch ended, as middleware sees it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DispatchFailure<'a> {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// The error that the caller will get.
    pub error: &'a (dyn Error + Send + Sync + 'static),
}

/// The kinds of failure of a dispatch; see [`DispatchError`](crate::dispatch::DispatchError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The domain said no.
    Rejected,
    /// The command is wrong by itself.
    Invalid,
    /// Another writer was first.
    Conflict,
    /// It took too long.
    Timeout,
    /// A layer refused it.
    Halted,
    /// User code panicked.
    Panicked,
    /// The store failed, or what it holds cannot be read.
    Store,
    /// An inline projection did not take the events.
    NotProjected,
    /// The events are stored, but handlers did not handle them in time.
    NotHandled,
    /// The application is not running.
    NotRunning,
}

impl FailureKind {
    /// A name that stays the same, for what is kept: `"rejected"`, `"not_handled"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Timeout => "timeout",
            Self::Halted => "halted",
            Self::Panicked => "panicked",
            Self::Store => "store",
            Self::NotProjected => "not_projected",
            Self::NotHandled => "not_handled",
            Self::NotRunning => "not_running",
        }
    }
}
