use std::fmt;
use std::sync::Arc;

use crate::aggregate::Aggregate;
use crate::event::{EventSet as _, Metadata};
use crate::id::{CommandId, CorrelationId};
use crate::middleware::{DispatchOutcome, Extensions};
use crate::store::StreamId;

/// What came of a command.
pub struct Dispatched<A: Aggregate> {
    pub(crate) command_id: CommandId,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) stream_id: StreamId,
    pub(crate) version: u64,
    pub(crate) position: Option<u64>,
    pub(crate) events: Vec<A::Event>,
    pub(crate) state: Arc<A>,
    pub(crate) repeated: bool,
    pub(crate) halted_by: Option<&'static str>,
    pub(crate) metadata: Metadata,
    pub(crate) extensions: Extensions,
}

impl<A: Aggregate> Dispatched<A> {
    /// The command's id.
    #[must_use]
    pub fn command_id(&self) -> CommandId {
        self.command_id
    }

    /// What the command belongs together with.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        self.correlation_id
    }

    /// The identity of the aggregate: the stream id without its prefix.
    #[must_use]
    pub fn aggregate_id(&self) -> &str {
        self.stream_id.identity()
    }

    /// The stream of the aggregate.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        &self.stream_id
    }

    /// The aggregate's version after the command: how many events it has.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The position of the command's last event in the log; `None` when it emitted none, or when the
    /// aggregate is state-stored.
    #[must_use]
    pub fn position(&self) -> Option<u64> {
        self.position
    }

    /// The command's events.
    #[must_use]
    pub fn events(&self) -> &[A::Event] {
        &self.events
    }

    /// The command's events.
    #[must_use]
    pub fn into_events(self) -> Vec<A::Event> {
        self.events
    }

    /// The aggregate's state after the command.
    #[must_use]
    pub fn state(&self) -> &Arc<A> {
        &self.state
    }

    /// Whether the command's id was dispatched before, and this is the outcome of that first time.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// The layer of middleware that answered in the aggregate's stead, if one did.
    #[must_use]
    pub fn halted_by(&self) -> Option<&'static str> {
        self.halted_by
    }

    /// What was stored with each event.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The values that middleware left.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    pub(crate) fn outcome(&self) -> DispatchOutcome {
        DispatchOutcome {
            command_id: self.command_id,
            stream_id: self.stream_id.clone(),
            version: self.version,
            position: self.position,
            event_types: self.events.iter().map(|event| event.schema().name).collect(),
            repeated: self.repeated,
        }
    }
}

impl<A: Aggregate> fmt::Debug for Dispatched<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Dispatched")
            .field("command_id", &self.command_id)
            .field("stream_id", &self.stream_id)
            .field("version", &self.version)
            .field("position", &self.position)
            .field("events", &self.events)
            .field("repeated", &self.repeated)
            .field("halted_by", &self.halted_by)
            .finish_non_exhaustive()
    }
}
