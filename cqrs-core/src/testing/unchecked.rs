use std::fmt;
use std::panic::Location;

/// A step that nobody has looked at: dropping it fails the test.
#[derive(Debug)]
pub(crate) struct Unchecked {
    command: &'static str,
    at: &'static Location<'static>,
    armed: bool,
}

impl Unchecked {
    pub(crate) fn new(command: &'static str, at: &'static Location<'static>) -> Self {
        Self { command, at, armed: true }
    }

    pub(crate) fn command(&self) -> &'static str {
        self.command
    }

    /// Somebody has looked.
    pub(crate) fn checked(mut self) {
        self.armed = false;
    }
}

impl Drop for Unchecked {
    fn drop(&mut self) {
        // A test that fails already says why; a second panic would end the process without saying it.
        if self.armed && !std::thread::panicking() {
            panic!("{self}");
        }
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "nothing was asserted of {}, executed at {}: add `.then_events(..)` or another `.then_..`",
            self.command, self.at
        )
    }
}
