use chrono::{DateTime, Utc};

use crate::audit::AuditRecord;
use crate::id::{CommandId, CorrelationId};

/// Which records of an audit are asked for: those that fulfil every condition that is set.
///
/// ```
/// use chrono::{TimeDelta, Utc};
/// use cqrs_core::audit::{AuditQuery, AuditStatus};
///
/// let failures_of_today = AuditQuery::new()
///     .actor("u-7")
///     .status(AuditStatus::Failed)
///     .since(Utc::now() - TimeDelta::days(1));
/// # let _ = failures_of_today;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct AuditQuery {
    /// Of this command.
    pub command_id: Option<CommandId>,
    /// Of commands of this correlation.
    pub correlation_id: Option<CorrelationId>,
    /// Of this actor.
    pub actor: Option<String>,
    /// Of commands of this name.
    pub command: Option<String>,
    /// That ended so.
    pub status: Option<AuditStatus>,
    /// That occurred at this time or later.
    pub since: Option<DateTime<Utc>>,
    /// That occurred before this time.
    pub until: Option<DateTime<Utc>>,
}

/// How dispatches ended, as far as a query tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditStatus {
    /// They succeeded.
    Succeeded,
    /// They failed.
    Failed,
    /// It is not known, or they are under way.
    Unfinished,
}

impl AuditQuery {
    /// All records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records of this command.
    pub fn command_id(mut self, id: CommandId) -> Self {
        self.command_id = Some(id);
        self
    }

    /// Records of commands of this correlation.
    pub fn correlation_id(mut self, id: CorrelationId) -> Self {
        self.correlation_id = Some(id);
        self
    }

    /// Records of this actor.
    pub fn actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Records of commands of this name.
    pub fn command(mut self, name: impl Into<String>) -> Self {
        self.command = Some(name.into());
        self
    }

    /// Records of dispatches that ended so.
    pub fn status(mut self, status: AuditStatus) -> Self {
        self.status = Some(status);
        self
    }

    /// Records of this time or later.
    pub fn since(mut self, time: DateTime<Utc>) -> Self {
        self.since = Some(time);
        self
    }

    /// Records before this time.
    pub fn until(mut self, time: DateTime<Utc>) -> Self {
        self.until = Some(time);
        self
    }

    /// Whether a record fulfils all conditions; for stores without a language of their own.
    #[must_use]
    pub fn accepts(&self, record: &AuditRecord) -> bool {
        self.command_id.is_none_or(|id| record.command_id == id)
            && self.correlation_id.is_none_or(|id| record.correlation_id == id)
            && self.actor.as_ref().is_none_or(|actor| record.actor.as_ref() == Some(actor))
            && self.command.as_ref().is_none_or(|name| record.command == *name)
            && self.status.is_none_or(|status| AuditStatus::of(record) == status)
            && self.since.is_none_or(|since| record.occurred_at >= since)
            && self.until.is_none_or(|until| record.occurred_at < until)
    }
}

impl AuditStatus {
    fn of(record: &AuditRecord) -> Self {
        match record.is_success() {
            Some(true) => Self::Succeeded,
            Some(false) => Self::Failed,
            None => Self::Unfinished,
        }
    }
}
