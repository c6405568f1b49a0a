use std::fmt;
use std::panic::Location;

use crate::error_text::error_text;
use crate::process_manager::{ProcessAction, ProcessError, ProcessManager, SentCommand};
use crate::testing::GivenProcess;
use crate::testing::command_list::{CommandList, ListedCommand};
use crate::testing::process::course::Outcome;
use crate::testing::report::COMMANDS;
use crate::testing::unchecked::Unchecked;

/// Something that has happened to an instance of a process manager, and of which something must be asserted: a test that
/// drops it fails.
///
/// The assertions give the scenario back, for further ones or what happens next.
#[must_use = "say what the process manager should have done: `.then_commands(..)`"]
pub struct WhenProcess<P: ProcessManager> {
    given: GivenProcess<P>,
    outcome: Outcome<P::Error>,
    unchecked: Unchecked,
}

impl<P: ProcessManager> WhenProcess<P> {
    pub(super) fn new(
        given: GivenProcess<P>,
        outcome: Outcome<P::Error>,
        what: &'static str,
        at: &'static Location<'static>,
    ) -> Self {
        Self { given, outcome, unchecked: Unchecked::new(what, "that happened", "`.then_commands(..)`", at) }
    }

    /// The process manager sent these commands, in this order and no others: also what
    /// [`on_error`](ProcessManager::on_error) sent when something failed, and what undoes commands when the process was
    /// given up. Commands are compared by name and JSON form.
    ///
    /// # Panics
    /// When it did not; both lists are shown. When an event passed the instance by, or something failed and is not over.
    #[track_caller]
    pub fn then_commands(self, expected: impl CommandList) -> GivenProcess<P> {
        let expected = expected.into_vec();
        let sent = self.listed();
        if !self.has_ended_well() {
            panic!("{} {}\nexpected {}", self.unchecked.what(), self.outcome, COMMANDS.list(&expected));
        }
        if sent != expected {
            panic!(
                "{} led to other commands than expected\n{}",
                self.unchecked.what(),
                COMMANDS.compare(&expected, &sent)
            );
        }
        self.checked()
    }

    /// The process manager sent no command.
    ///
    /// # Panics
    /// As [`WhenProcess::then_commands`].
    #[track_caller]
    pub fn then_no_commands(self) -> GivenProcess<P> {
        self.then_commands(())
    }

    /// The event was not for the instance: no [`Interest`](crate::process_manager::Interest) in it, none any more, or one
    /// that does not begin an instance.
    ///
    /// # Panics
    /// When the instance was told of it.
    #[track_caller]
    pub fn then_passed_by(self) -> GivenProcess<P> {
        if !matches!(self.outcome, Outcome::PassedBy) {
            panic!("{} {}\nexpected it to pass the instance by", self.unchecked.what(), self.describe());
        }
        self.checked()
    }

    /// The process manager failed with this error.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn then_error(self, expected: impl Into<P::Error>) -> GivenProcess<P>
    where
        P::Error: PartialEq,
    {
        let expected = expected.into();
        match &self.outcome {
            Outcome::Failed { error: ProcessError::Failed(error), .. } if *error == expected => {}
            _ => panic!("{} {}\nexpected it to fail: {expected:?}", self.unchecked.what(), self.describe()),
        }
        self.checked()
    }

    /// It failed with an error that `matches`: for errors that cannot be compared, and failures that are not the process
    /// manager's own.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn then_error_matches(
        self,
        matches: impl FnOnce(&ProcessError<P::Error>) -> bool,
    ) -> GivenProcess<P> {
        match &self.outcome {
            Outcome::Failed { error, .. } if matches(error) => {}
            _ => panic!(
                "{} {}\nexpected it to fail with an error that matches",
                self.unchecked.what(),
                self.describe()
            ),
        }
        self.checked()
    }

    /// It failed, and the process manager decided this.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn then_action(self, expected: ProcessAction) -> GivenProcess<P> {
        match self.outcome {
            Outcome::Failed { action: Some(action), .. } if action == expected => {}
            _ => panic!("{} {}\nexpected {expected:?}", self.unchecked.what(), self.describe()),
        }
        self.checked()
    }

    /// The commands that were sent, to look at.
    #[must_use]
    pub fn commands(&self) -> &[SentCommand] {
        &self.given.sent
    }

    /// Whether the step is over, and what was sent counts.
    fn has_ended_well(&self) -> bool {
        match self.outcome {
            Outcome::Done => true,
            Outcome::PassedBy => false,
            Outcome::Failed { action, .. } => matches!(
                action,
                Some(ProcessAction::Skip | ProcessAction::DiscardPending | ProcessAction::Compensate)
            ),
        }
    }

    fn listed(&self) -> Vec<ListedCommand> {
        self.given.sent.iter().map(ListedCommand::of_sent).collect()
    }

    fn describe(&self) -> String {
        match self.has_ended_well() {
            true => format!("{} and sent {}", self.outcome, COMMANDS.list(&self.listed())),
            false => self.outcome.to_string(),
        }
    }

    fn checked(self) -> GivenProcess<P> {
        let Self { given, unchecked, .. } = self;
        unchecked.checked();
        given
    }
}

impl<E: std::error::Error + 'static> fmt::Display for Outcome<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => formatter.write_str("went well"),
            Self::PassedBy => formatter.write_str("passed the instance by"),
            Self::Failed { error, action: Some(action) } => {
                write!(formatter, "failed, which leads to {action:?}: {}", error_text(error))
            }
            Self::Failed { error, action: None } => write!(formatter, "failed: {}", error_text(error)),
        }
    }
}

impl<P: ProcessManager> fmt::Debug for WhenProcess<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.unchecked.what(), self.describe())
    }
}
