use std::borrow::Cow;
use std::time::Duration;

use crate::event::Metadata;
use crate::id::{CausationId, CommandId, CorrelationId};

/// What a dispatch waits for once the events are stored.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// Nothing.
    #[default]
    Eventual,
    /// Every handler that is declared strong and interested in one of the events has handled them, on whichever
    /// node it runs.
    Strong,
    /// The handlers of these names have handled the events they are interested in, however declared.
    Handlers(Vec<Cow<'static, str>>),
}

/// How long a dispatch may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeLimitOption {
    /// This long.
    After(Duration),
    /// For ever.
    Never,
}

impl TimeLimitOption {
    pub(crate) fn duration(self) -> Option<Duration> {
        match self {
            Self::After(duration) => Some(duration),
            Self::Never => None,
        }
    }
}

/// Options of dispatch that a command, a router or an application sets for its commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct DispatchDefaults {
    pub(crate) timeout: Option<TimeLimitOption>,
    pub(crate) consistency: Option<Consistency>,
    pub(crate) consistency_timeout: Option<Duration>,
    pub(crate) retry_attempts: Option<u32>,
}

impl DispatchDefaults {
    /// How long a dispatch may take, unless set: 5 s.
    pub const TIMEOUT: Duration = Duration::from_secs(5);

    /// How long a dispatch waits for handlers, unless set: 5 s.
    pub const CONSISTENCY_TIMEOUT: Duration = Duration::from_secs(5);

    /// How many times a command is executed again after a version conflict, unless set: 10.
    pub const RETRY_ATTEMPTS: u32 = 10;

    /// Nothing set.
    pub const fn new() -> Self {
        Self { timeout: None, consistency: None, consistency_timeout: None, retry_attempts: None }
    }

    /// How long the command may take until its events are stored.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(TimeLimitOption::After(limit));
        self
    }

    /// The command may take for ever.
    pub const fn no_timeout(mut self) -> Self {
        self.timeout = Some(TimeLimitOption::Never);
        self
    }

    /// What a dispatch waits for once the events are stored.
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = Some(consistency);
        self
    }

    /// How long that wait may take.
    pub const fn consistency_timeout(mut self, limit: Duration) -> Self {
        self.consistency_timeout = Some(limit);
        self
    }

    /// How many times the command is executed again after a version conflict.
    pub const fn retry_attempts(mut self, attempts: u32) -> Self {
        self.retry_attempts = Some(attempts);
        self
    }

    /// What is set here, and for the rest what is set in `outer`.
    pub(crate) fn or(self, outer: &Self) -> Self {
        Self {
            timeout: self.timeout.or(outer.timeout),
            consistency: self.consistency.or_else(|| outer.consistency.clone()),
            consistency_timeout: self.consistency_timeout.or(outer.consistency_timeout),
            retry_attempts: self.retry_attempts.or(outer.retry_attempts),
        }
    }
}

/// Options of one dispatch.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) defaults: DispatchDefaults,
    pub(crate) expected_version: Option<u64>,
    pub(crate) metadata: Metadata,
    pub(crate) causation_id: Option<CausationId>,
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) command_id: Option<CommandId>,
    /// Nobody can have used the command's id before.
    pub(crate) is_new: bool,
    pub(crate) idempotency_key: Option<CommandId>,
}

/// The options that hold, once all levels were asked.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) timeout: Option<Duration>,
    pub(crate) consistency: Consistency,
    pub(crate) consistency_timeout: Duration,
    pub(crate) retry_attempts: u32,
}

impl From<DispatchDefaults> for Resolved {
    fn from(defaults: DispatchDefaults) -> Self {
        Self {
            timeout: defaults.timeout.unwrap_or(TimeLimitOption::After(DispatchDefaults::TIMEOUT)).duration(),
            consistency: defaults.consistency.unwrap_or_default(),
            consistency_timeout: defaults
                .consistency_timeout
                .unwrap_or(DispatchDefaults::CONSISTENCY_TIMEOUT),
            retry_attempts: defaults.retry_attempts.unwrap_or(DispatchDefaults::RETRY_ATTEMPTS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_level_wins_option_by_option() {
        let command = DispatchDefaults::new().timeout(Duration::from_secs(1));
        let application = DispatchDefaults::new().no_timeout().retry_attempts(3);
        let resolved = Resolved::from(command.or(&application));
        assert_eq!(resolved.timeout, Some(Duration::from_secs(1)));
        assert_eq!(resolved.retry_attempts, 3);
        assert_eq!(resolved.consistency, Consistency::Eventual);
    }
}
