use std::fmt;

use serde_json::Value;

use crate::command::Command;
use crate::process_manager::{Content, SentCommand};

/// The forms in which a scenario lists commands: an array or a `Vec` of one type, a tuple of up to eight types, or `()`
/// for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a list of commands",
    label = "not a list of commands",
    note = "write `[command]` for one command, `[first, second]` for commands of one type, `(first, second)` for several types, `()` for none"
)]
pub trait CommandList {
    /// The commands, in order.
    fn into_vec(self) -> Vec<ListedCommand>;
}

/// A command in a list: its name and its JSON form, by which commands of all types are compared.
#[derive(Clone, PartialEq)]
pub struct ListedCommand {
    name: String,
    data: Value,
}

impl ListedCommand {
    /// Lists a command.
    ///
    /// # Panics
    /// When the command has no JSON form.
    #[track_caller]
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "a command is given away, as to a dispatch")]
    pub fn new<C: Command>(command: C) -> Self {
        match serde_json::to_value(&command) {
            Ok(data) => Self { name: C::NAME.to_owned(), data },
            Err(error) => panic!("{} has no JSON form: {error}", C::NAME),
        }
    }

    pub(crate) fn of_sent(sent: &SentCommand) -> Self {
        Self::of_json(sent.name(), sent.json())
    }

    pub(crate) fn of_content(content: &Content) -> Self {
        Self::of_json(&content.name, content.data.get())
    }

    fn of_json(name: &str, json: &str) -> Self {
        // What was sent is JSON already.
        Self { name: name.to_owned(), data: serde_json::from_str(json).unwrap_or_default() }
    }
}

impl fmt::Debug for ListedCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:#}", self.name, self.data)
    }
}

impl CommandList for () {
    fn into_vec(self) -> Vec<ListedCommand> {
        Vec::new()
    }
}

impl<C: Command> CommandList for Vec<C> {
    fn into_vec(self) -> Vec<ListedCommand> {
        self.into_iter().map(ListedCommand::new).collect()
    }
}

impl<C: Command, const N: usize> CommandList for [C; N] {
    fn into_vec(self) -> Vec<ListedCommand> {
        self.into_iter().map(ListedCommand::new).collect()
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: Command),+> CommandList for ($($name,)+) {
            #[expect(non_snake_case, reason = "type parameters name the fields")]
            fn into_vec(self) -> Vec<ListedCommand> {
                let ($($name,)+) = self;
                vec![$(ListedCommand::new($name)),+]
            }
        }
    };
}

tuples!(T1);
tuples!(T1 T2);
tuples!(T1 T2 T3);
tuples!(T1 T2 T3 T4);
tuples!(T1 T2 T3 T4 T5);
tuples!(T1 T2 T3 T4 T5 T6);
tuples!(T1 T2 T3 T4 T5 T6 T7);
tuples!(T1 T2 T3 T4 T5 T6 T7 T8);
