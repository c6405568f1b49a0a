use std::fmt;
use std::fmt::Write as _;

/// What a list is a list of, and how it came about.
pub(crate) struct Words {
    pub(crate) one: &'static str,
    pub(crate) many: &'static str,
    pub(crate) came: &'static str,
}

/// What a command leads to.
pub(crate) const EVENTS: Words = Words { one: "event", many: "events", came: "emitted" };

/// What a process manager leads to.
pub(crate) const COMMANDS: Words = Words { one: "command", many: "commands", came: "sent" };

impl Words {
    /// Shows items, each on lines of its own.
    pub(crate) fn list<T: fmt::Debug>(&self, items: &[T]) -> String {
        let mut text = match items.len() {
            0 => return format!("no {}", self.one),
            1 => format!("1 {}:", self.one),
            count => format!("{count} {}:", self.many),
        };
        for item in items {
            let shown = format!("{item:#?}").replace('\n', "\n    ");
            // Writing to a string does not fail.
            let _ = write!(text, "\n    {shown}");
        }
        text
    }

    /// Shows both lists, and where they begin to differ.
    pub(crate) fn compare<T: fmt::Debug + PartialEq>(&self, expected: &[T], came: &[T]) -> String {
        let same = expected.iter().zip(came).take_while(|(expected, came)| expected == came).count();
        format!(
            "expected {}\n{} {}\nthey differ from {} {} on",
            self.list(expected),
            self.came,
            self.list(came),
            self.one,
            same + 1
        )
    }
}
