use std::fmt;
use std::panic::Location;

use crate::aggregate::Aggregate;
use crate::command::ValidationErrors;
use crate::testing::report::EVENTS;
use crate::testing::unchecked::Unchecked;
use crate::testing::{EventList, Given};

/// A command that was executed, and of which something must be asserted: a test that drops it fails.
///
/// The assertions give the scenario back, for further ones or the next command.
#[must_use = "say what the command should have done: `.then_events(..)`"]
pub struct When<A: Aggregate> {
    given: Given<A>,
    outcome: Outcome<A>,
    unchecked: Unchecked,
}

/// What came of the command.
enum Outcome<A: Aggregate> {
    Emitted(Vec<A::Event>),
    Rejected(A::Error),
    Invalid(ValidationErrors),
}

impl<A: Aggregate> When<A> {
    pub(crate) fn decided(
        given: Given<A>,
        outcome: Result<Vec<A::Event>, A::Error>,
        command: &'static str,
        at: &'static Location<'static>,
    ) -> Self {
        let outcome = match outcome {
            Ok(events) => Outcome::Emitted(events),
            Err(error) => Outcome::Rejected(error),
        };
        let unchecked = Unchecked::new(command, "executed", "`.then_events(..)`", at);
        Self { given, outcome, unchecked }
    }

    pub(crate) fn invalid(
        given: Given<A>,
        errors: ValidationErrors,
        command: &'static str,
        at: &'static Location<'static>,
    ) -> Self {
        let unchecked = Unchecked::new(command, "executed", "`.then_events(..)`", at);
        Self { given, outcome: Outcome::Invalid(errors), unchecked }
    }

    /// The command emitted these events, in this order and no others.
    ///
    /// # Panics
    /// When it did not; both lists are shown.
    #[track_caller]
    pub fn then_events(self, expected: impl EventList<A>) -> Given<A> {
        let expected = expected.into_vec();
        match &self.outcome {
            Outcome::Emitted(events) if *events == expected => {}
            Outcome::Emitted(events) => panic!(
                "{} emitted other events than expected\n{}",
                self.unchecked.what(),
                EVENTS.compare(&expected, events)
            ),
            outcome => panic!("{} {outcome}\nexpected {}", self.unchecked.what(), EVENTS.list(&expected)),
        }
        self.checked()
    }

    /// The command was carried out and emitted nothing.
    ///
    /// # Panics
    /// When it emitted something or was refused.
    #[track_caller]
    pub fn then_no_events(self) -> Given<A> {
        self.then_events(())
    }

    /// The aggregate refused the command with this error.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn then_error(self, expected: impl Into<A::Error>) -> Given<A>
    where
        A::Error: PartialEq,
    {
        let expected = expected.into();
        match &self.outcome {
            Outcome::Rejected(error) if *error == expected => {}
            outcome => {
                panic!("{} {outcome}\nexpected it to be rejected: {expected:?}", self.unchecked.what())
            }
        }
        self.checked()
    }

    /// The aggregate refused the command with an error that `matches`: for errors that cannot be compared.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn then_error_matches(self, matches: impl FnOnce(&A::Error) -> bool) -> Given<A> {
        match &self.outcome {
            Outcome::Rejected(error) if matches(error) => {}
            outcome => panic!(
                "{} {outcome}\nexpected it to be rejected with an error that matches",
                self.unchecked.what()
            ),
        }
        self.checked()
    }

    /// The command's own validation refused it because of these fields, in any order and no others. The
    /// aggregate did not see it.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn then_invalid<F: AsRef<str>>(self, fields: impl IntoIterator<Item = F>) -> Given<A> {
        let mut expected: Vec<_> = fields.into_iter().map(|field| field.as_ref().to_owned()).collect();
        expected.sort_unstable();
        match &self.outcome {
            Outcome::Invalid(errors) if sorted_fields(errors) == expected => {}
            outcome => {
                panic!("{} {outcome}\nexpected it to be invalid in {expected:?}", self.unchecked.what())
            }
        }
        self.checked()
    }

    /// The command was carried out, and `check` finds the state right, with the assertions of its choice.
    /// Behind a refusal, assert that first.
    ///
    /// # Panics
    /// When the command was refused, or `check` panics.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&A)) -> Given<A> {
        if !matches!(self.outcome, Outcome::Emitted(_)) {
            panic!("{} {}\nexpected it to be carried out", self.unchecked.what(), self.outcome);
        }
        check(&self.given.state);
        self.checked()
    }

    fn checked(self) -> Given<A> {
        let Self { given, unchecked, .. } = self;
        unchecked.checked();
        given
    }
}

/// The fields of the errors, each once.
fn sorted_fields(errors: &ValidationErrors) -> Vec<&str> {
    let mut fields: Vec<&str> = errors.fields().iter().map(|error| &*error.field).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

impl<A: Aggregate> fmt::Display for Outcome<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emitted(events) => write!(formatter, "emitted {}", EVENTS.list(events)),
            Self::Rejected(error) => write!(formatter, "was rejected: {error} ({error:?})"),
            Self::Invalid(errors) => write!(formatter, "is not valid: {errors}"),
        }
    }
}

impl<A: Aggregate> fmt::Debug for When<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.unchecked.what(), self.outcome)
    }
}
