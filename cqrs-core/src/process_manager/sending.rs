use std::time::Duration;

use serde_json::Value;

use crate::command::Command;
use crate::event::Metadata;
use crate::process_manager::ProcessError;
use crate::process_manager::command::Content;

/// A command that a process manager is about to send, for options.
#[derive(Debug)]
pub struct Sending<'a> {
    pub(crate) fault: &'a mut Option<Unkeepable>,
    pub(crate) draft: Option<&'a mut Draft>,
}

/// What becomes a command when its step is done.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) content: Content,
    pub(crate) undo: Option<Content>,
    pub(crate) metadata: Metadata,
    pub(crate) timeout: Option<Duration>,
}

/// What is wanted, and cannot be written down.
#[derive(Debug)]
pub(crate) enum Unkeepable {
    /// A command without a JSON form.
    Command { command: &'static str, source: serde_json::Error },
    /// A deadline or scheduled command of this name.
    Timer { name: String },
}

impl<E> From<Unkeepable> for ProcessError<E> {
    fn from(fault: Unkeepable) -> Self {
        match fault {
            Unkeepable::Command { command, source } => Self::Unsendable { command, source },
            Unkeepable::Timer { name } => Self::InvalidTimer { name },
        }
    }
}

impl Draft {
    /// Makes a draft; the first fault is kept.
    pub(crate) fn of<C: Command>(command: &C, fault: &mut Option<Unkeepable>) -> Option<Self> {
        let content = content(command, fault)?;
        Some(Self { content, undo: None, metadata: Metadata::new(), timeout: None })
    }
}

pub(crate) fn content<C: Command>(command: &C, fault: &mut Option<Unkeepable>) -> Option<Content> {
    match Content::of(command) {
        Ok(content) => Some(content),
        Err(source) => {
            fault.get_or_insert(Unkeepable::Command { command: C::NAME, source });
            None
        }
    }
}

impl Sending<'_> {
    /// The command that undoes this one, to be sent when this one was carried out and the process is given up
    /// ([`ProcessAction::Compensate`](crate::process_manager::ProcessAction::Compensate)).
    #[expect(clippy::needless_pass_by_value, reason = "a command is given away, as to a dispatch")]
    pub fn compensate<C: Command>(&mut self, command: C) -> &mut Self {
        let undo = content(&command, self.fault);
        if let Some(draft) = &mut self.draft {
            draft.undo = undo;
        }
        self
    }

    /// Attaches a value to the command, beside those of the event.
    pub fn metadata(&mut self, name: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        if let Some(draft) = &mut self.draft {
            draft.metadata.insert(name, value);
        }
        self
    }

    /// How long the command may take until its events are stored; what holds for the command unless set. In
    /// milliseconds.
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        if let Some(draft) = &mut self.draft {
            draft.timeout = Some(limit);
        }
        self
    }
}
