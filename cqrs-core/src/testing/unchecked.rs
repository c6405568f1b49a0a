use std::fmt;
use std::panic::Location;

/// A step that nobody has looked at: dropping it fails the test.
#[derive(Debug)]
pub(crate) struct Unchecked {
    what: &'static str,
    happened: &'static str,
    hint: &'static str,
    at: &'static Location<'static>,
    armed: bool,
}

impl Unchecked {
    /// `what` has `happened`, and `hint` is what might be asserted of it.
    pub(crate) fn new(
        what: &'static str,
        happened: &'static str,
        hint: &'static str,
        at: &'static Location<'static>,
    ) -> Self {
        Self { what, happened, hint, at, armed: true }
    }

    pub(crate) fn what(&self) -> &'static str {
        self.what
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
            "nothing was asserted of {}, {} at {}: add {} or another `.then_..`",
            self.what, self.happened, self.at, self.hint
        )
    }
}
