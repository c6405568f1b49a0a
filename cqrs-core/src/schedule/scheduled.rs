use std::str::FromStr as _;

use chrono::{DateTime, SubsecRound as _, Utc};
use croner::Cron;
use serde_json::Value;

use crate::command::Command;
use crate::event::Metadata;
use crate::id::CommandId;
use crate::process_manager::Content;

/// A command, and when it is to be carried out.
///
/// ```
/// # use cqrs_core::command::Command;
/// # fn example(remind: impl Command, clean_up: impl Command) -> Result<(), Box<dyn std::error::Error>> {
/// use chrono::{Duration, Utc};
/// use cqrs_core::schedule::Schedule;
///
/// let tomorrow = Utc::now() + Duration::days(1);
/// let once = Schedule::once(&remind, tomorrow).name("remind ada").metadata("actor", "u-7");
/// let nightly = Schedule::recurring(&clean_up, "0 3 * * *")?.name("clean-up");
/// # let _ = (once, nightly);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is scheduled until an application is told"]
pub struct Schedule {
    pub(crate) name: String,
    pub(crate) content: Result<Content, String>,
    pub(crate) when: When,
    pub(crate) metadata: Metadata,
}

#[derive(Clone, Debug)]
pub(crate) enum When {
    Once(DateTime<Utc>),
    /// Whenever the pattern fits.
    Recurring(String),
}

/// A pattern that tells no times.
#[derive(Debug, thiserror::Error)]
#[error("{pattern:?} is no cron pattern")]
pub struct CronError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    #[source]
    source: croner::errors::CronError,
}

impl Schedule {
    /// A command that is carried out once, at this time by the application's clock, or as soon as possible when that has
    /// passed. Its name is drawn unless set.
    pub fn once<C: Command>(command: &C, at: DateTime<Utc>) -> Self {
        Self::new(command, When::Once(at))
    }

    /// A command that is carried out whenever a cron pattern fits, in UTC: minute, hour, day of month, month, day of
    /// week, as in `"0 3 * * MON"`, with a sixth field for seconds before them if need be. Of times that have passed
    /// while nobody was there to carry it out the last one is made up for. Its name is drawn unless set.
    ///
    /// # Errors
    /// When the pattern cannot be read, or fits at no time.
    pub fn recurring<C: Command>(command: &C, pattern: &str) -> Result<Self, CronError> {
        next_time(pattern, DateTime::UNIX_EPOCH)?;
        Ok(Self::new(command, When::Recurring(pattern.to_owned())))
    }

    fn new<C: Command>(command: &C, when: When) -> Self {
        Self {
            name: CommandId::new().to_string(),
            content: Content::of(command).map_err(|error| format!("{}: {error}", C::NAME)),
            when,
            metadata: Metadata::new(),
        }
    }

    /// The name by which it is found and cancelled.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Attaches a value to the command.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(name, value);
        self
    }
}

/// When a pattern fits next, behind a time: patterns tell whole seconds.
pub(crate) fn next_time(pattern: &str, after: DateTime<Utc>) -> Result<DateTime<Utc>, CronError> {
    let after = after.trunc_subsecs(0);
    let next = Cron::from_str(pattern).and_then(|cron| cron.find_next_occurrence(&after, false));
    next.map_err(|source| CronError { pattern: pattern.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_tell_the_next_time() {
        let after = "2026-02-28T23:59:30Z".parse().unwrap();
        let next = |pattern| next_time(pattern, after).unwrap().to_rfc3339();
        assert_eq!(next("0 3 * * *"), "2026-03-01T03:00:00+00:00");
        assert_eq!(next("*/15 * * * * *"), "2026-02-28T23:59:45+00:00");
        assert_eq!(next("0 0 29 2 *"), "2028-02-29T00:00:00+00:00");
    }

    #[test]
    fn fractions_of_a_second_are_not_taken_over() {
        let after = "2026-02-28T23:59:30.284613757Z".parse().unwrap();
        let next = |pattern| next_time(pattern, after).unwrap().to_rfc3339();
        assert_eq!(next("* * * * * *"), "2026-02-28T23:59:31+00:00");
        assert_eq!(next("30 59 23 * * *"), "2026-03-01T23:59:30+00:00");
        assert_eq!(next("0 3 * * *"), "2026-03-01T03:00:00+00:00");
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", "often", "61 * * * *", "0 0 30 2 *"] {
            assert!(next_time(pattern, DateTime::UNIX_EPOCH).is_err(), "{pattern}");
        }
    }
}
