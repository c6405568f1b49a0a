use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::Clock as _;
use crate::command::Command;
use crate::process_manager::{ProcessAction, ProcessManager, ProcessPhase, Timer};
use crate::testing::command_list::ListedCommand;
use crate::testing::{GivenProcess, TestClock};

#[expect(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "an assertion may be the last step"
)]
impl<P: ProcessManager> GivenProcess<P> {
    /// Lets `check` look at the state, with the assertions of its choice.
    ///
    /// # Panics
    /// When there is no instance, or `check` panics.
    #[track_caller]
    pub fn then_state(self, check: impl FnOnce(&P)) -> Self {
        match &self.instance {
            Some(instance) => check(&instance.state),
            None => panic!("instance {:?} has ended, or has not begun", self.id),
        }
        self
    }

    /// There is no instance: it has not begun, or it has ended. Commands that it has sent may wait all the same.
    ///
    /// # Panics
    /// When there is one.
    #[track_caller]
    pub fn then_ended(self) -> Self {
        if let Some(instance) = &self.instance {
            let phase = instance.progress.phase;
            panic!("instance {:?} is there ({phase:?}), expected it to have ended", self.id);
        }
        self
    }

    /// There is an instance, and it handles events.
    ///
    /// # Panics
    /// When there is none, or it undoes what it has done.
    #[track_caller]
    pub fn then_running(self) -> Self {
        self.then_phase(ProcessPhase::Running)
    }

    /// There is an instance, and it undoes what it has done.
    ///
    /// # Panics
    /// When there is none, or it handles events.
    #[track_caller]
    pub fn then_compensating(self) -> Self {
        self.then_phase(ProcessPhase::Compensating)
    }

    /// The last thing that happened failed, and the process manager decided this.
    ///
    /// # Panics
    /// When it decided something else, or nothing failed.
    #[track_caller]
    pub fn then_action(self, expected: ProcessAction) -> Self {
        assert!(
            self.decided == Some(expected),
            "{}, expected {expected:?}",
            self.decided.map_or("nothing has failed".to_owned(), |action| format!("{action:?} was decided")),
        );
        self
    }

    /// A deadline of this name is to come at this time.
    ///
    /// # Panics
    /// When there is none, or at another time; what is to come is shown.
    #[track_caller]
    pub fn then_deadline(self, name: &str, at: DateTime<Utc>) -> Self {
        self.check_timer(name, at, None);
        self
    }

    /// [`GivenProcess::then_deadline`] after some time from now.
    ///
    /// # Panics
    /// As [`GivenProcess::then_deadline`].
    #[track_caller]
    pub fn then_deadline_in(self, name: &str, time: Duration) -> Self {
        let at = self.after(time);
        self.then_deadline(name, at)
    }

    /// This command is to be sent at this time, scheduled by this name. Commands are compared by name and JSON form.
    ///
    /// # Panics
    /// When there is none, another one, or at another time; what is to come is shown.
    #[track_caller]
    pub fn then_scheduled<C: Command>(self, name: &str, command: C, at: DateTime<Utc>) -> Self {
        self.check_timer(name, at, Some(&ListedCommand::new(command)));
        self
    }

    /// [`GivenProcess::then_scheduled`] after some time from now.
    ///
    /// # Panics
    /// As [`GivenProcess::then_scheduled`].
    #[track_caller]
    pub fn then_scheduled_in<C: Command>(self, name: &str, command: C, time: Duration) -> Self {
        let at = self.after(time);
        self.then_scheduled(name, command, at)
    }

    /// Neither a deadline nor a scheduled command of any name is to come.
    ///
    /// # Panics
    /// When there is one; all are shown.
    #[track_caller]
    pub fn then_no_timers(self) -> Self {
        assert!(self.timers.is_empty(), "{}\nexpected nothing", self.show_timers());
        self
    }

    #[track_caller]
    fn then_phase(self, expected: ProcessPhase) -> Self {
        match &self.instance {
            Some(instance) if instance.progress.phase == expected => {}
            Some(instance) => {
                panic!("instance {:?} is {:?}, expected {expected:?}", self.id, instance.progress.phase)
            }
            None => panic!("instance {:?} has ended, or has not begun, expected {expected:?}", self.id),
        }
        self
    }

    #[track_caller]
    fn check_timer(&self, name: &str, at: DateTime<Utc>, command: Option<&ListedCommand>) {
        let is_it = |timer: &Timer| timer.due_at == at && listed(timer).as_ref() == command;
        assert!(
            self.timers.get(name).is_some_and(is_it),
            "{}\nexpected {}",
            self.show_timers(),
            show(name, at, command)
        );
    }

    fn after(&self, time: Duration) -> DateTime<Utc> {
        let clock = TestClock::at(self.clock.now());
        clock.advance(time);
        clock.now()
    }

    /// What is to come, for messages.
    pub(super) fn show_timers(&self) -> String {
        if self.timers.is_empty() {
            return "nothing is to come".to_owned();
        }
        let mut text = format!("it is {}, and to come:", self.clock.now());
        for timer in self.timers.values() {
            text.push_str("\n    ");
            text.push_str(&show(&timer.name, timer.due_at, listed(timer).as_ref()));
        }
        text
    }
}

fn listed(timer: &Timer) -> Option<ListedCommand> {
    timer.command.as_ref().map(ListedCommand::of_content)
}

fn show(name: &str, at: DateTime<Utc>, command: Option<&ListedCommand>) -> String {
    match command {
        None => format!("deadline {name:?} at {at}"),
        Some(command) => format!("command {name:?} at {at}: {command:?}"),
    }
}
