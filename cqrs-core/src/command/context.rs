use chrono::{DateTime, Utc};

use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId};
use crate::store::StreamId;

/// What an aggregate is told about the command it executes, besides the command.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandContext {
    /// The command's id.
    pub command_id: CommandId,
    /// What the command belongs together with.
    pub correlation_id: CorrelationId,
    /// The message that caused the command, when there is one.
    pub causation_id: Option<CausationId>,
    /// What the caller and the middleware attached.
    pub metadata: Metadata,
    /// The stream of the aggregate.
    pub stream_id: StreamId,
    /// The version of the state that the command is executed on.
    pub version: u64,
    /// Which execution of the command this is; the first is 1, and a later one follows a version conflict.
    pub attempt: u32,
    /// The present moment: decisions that depend on it take it from here, so that tests can set it.
    pub now: DateTime<Utc>,
}

impl CommandContext {
    /// A context for tests of an aggregate without an application.
    #[must_use]
    pub fn new(stream_id: StreamId, version: u64, now: DateTime<Utc>) -> Self {
        Self {
            command_id: CommandId::new(),
            correlation_id: CorrelationId::new(),
            causation_id: None,
            metadata: Metadata::new(),
            stream_id,
            version,
            attempt: 1,
            now,
        }
    }

    /// The identity of the aggregate: the stream id without its prefix.
    #[must_use]
    pub fn aggregate_id(&self) -> &str {
        self.stream_id.identity()
    }
}
