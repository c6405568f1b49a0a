use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::event::Metadata;
use crate::id::{AuditId, CausationId, CommandId, CorrelationId};

/// One dispatch of a command. A command whose id is dispatched again has a record each time.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    /// The record's own id; later ones sort behind earlier ones, as far as the clocks of the nodes agree.
    pub id: AuditId,
    /// The command's id.
    pub command_id: CommandId,
    /// The message that caused the command.
    pub causation_id: Option<CausationId>,
    /// What the command belongs together with.
    pub correlation_id: CorrelationId,
    /// When the dispatch came to the layer. Stores keep it to the microsecond.
    pub occurred_at: DateTime<Utc>,
    /// The command's name.
    pub command: String,
    /// The command, without what is redacted.
    pub data: Value,
    /// What the caller and the layers outside attached, without what is redacted.
    pub metadata: Metadata,
    /// Who sent it, if somebody said so.
    pub actor: Option<String>,
    /// How it ended; `None` while it is under way, and for ever when nobody waited for the end: the caller gave up, or the
    /// process ended.
    pub outcome: Option<AuditOutcome>,
}

/// How a dispatch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditOutcome {
    /// How long it took. Stores keep it to the microsecond.
    pub duration: Duration,
    /// Why it failed; `None` when it succeeded.
    pub error: Option<AuditError>,
}

/// Why a dispatch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditError {
    /// The name of its kind: [`FailureKind::as_str`](crate::middleware::FailureKind::as_str).
    pub kind: String,
    /// Its text and those of its sources; empty when they have none.
    pub text: String,
}

impl AuditRecord {
    /// Whether it succeeded; `None` while that is not known.
    #[must_use]
    pub fn is_success(&self) -> Option<bool> {
        self.outcome.as_ref().map(|outcome| outcome.error.is_none())
    }
}
