use std::fmt;
use std::path::PathBuf;

use crate::event::RegistryFault;
use crate::schema::{SchemaFault, SchemaUpdate};

/// Why the events of a program are not those of a file. The text lists everything, with its cure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Stored events could not be read any more.
    #[error("{}: {} that leave stored events unreadable:{}\nIf no event of these types is stored anywhere, run the test with CQRS_EVENTS_LOCK=overwrite.", path.display(), counted(faults), Cures(faults))]
    Incompatible {
        /// The file.
        path: PathBuf,
        /// Why.
        faults: Vec<SchemaFault>,
    },
    /// The file does not know everything that the program knows.
    #[error("{} is out of date; run the test with CQRS_EVENTS_LOCK=write, and commit the file:{}", path.display(), Lines(updates))]
    OutOfDate {
        /// The file.
        path: PathBuf,
        /// What is different.
        updates: Vec<SchemaUpdate>,
    },
    /// There is no file.
    #[error("{} is missing; run the test with CQRS_EVENTS_LOCK=write, and commit the file", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The program's own event types contradict each other.
    #[error("the program's events cannot be compared with {}:{}", path.display(), Lines(faults))]
    Registry {
        /// The file.
        path: PathBuf,
        /// Why.
        faults: Vec<RegistryFault>,
    },
    /// The file is not what was written.
    #[error("{} cannot be understood: {source}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where.
        source: LockSyntaxError,
    },
    /// The file cannot be read or written.
    #[error("{} cannot be read or written: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// `CQRS_EVENTS_LOCK` has a value that means nothing.
    #[error("CQRS_EVENTS_LOCK is {value:?}, expected `check`, `create`, `write` or `overwrite`")]
    UnknownMode {
        /// The value.
        value: String,
    },
}

/// A line of the file that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: expected {expected}, found {text:?}")]
#[non_exhaustive]
pub struct LockSyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// What was expected.
    pub expected: &'static str,
}

fn counted(faults: &[SchemaFault]) -> String {
    match faults.len() {
        1 => "1 change".to_owned(),
        several => format!("{several} changes"),
    }
}

struct Lines<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Lines<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(formatter, "\n  {line}"))
    }
}

struct Cures<'a>(&'a [SchemaFault]);

impl fmt::Display for Cures<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|fault| write!(formatter, "\n  {fault}\n    {}", fault.cure()))
    }
}
