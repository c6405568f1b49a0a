use std::fmt::Write as _;

use crate::command::Command;
use crate::store::{InvalidStreamId, StreamId};

/// A command whose identity, or whose prefix, cannot name a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidIdentity {
    /// The identity is empty.
    #[error("the identity is empty")]
    Empty,
    /// The prefix is empty or holds a `-`, which separates it from the identity.
    #[error("the stream prefix {0:?} is empty or holds a `-`")]
    Prefix(String),
    /// The stream id that the two make is not one.
    #[error(transparent)]
    StreamId(#[from] InvalidStreamId),
}

/// The stream of the aggregate that `command` is for.
pub(crate) fn stream_of<C: Command>(command: &C) -> Result<StreamId, InvalidIdentity> {
    let prefix = C::stream_prefix();
    check_prefix(&prefix)?;
    let mut text = String::with_capacity(prefix.len() + 40);
    text.push_str(&prefix);
    text.push('-');
    // Writing to a string does not fail; a `Display` that does leaves what it wrote.
    let shown = write!(text, "{}", command.identity());
    if shown.is_err() || text.len() == prefix.len() + 1 {
        return Err(InvalidIdentity::Empty);
    }
    Ok(StreamId::new(text)?)
}

/// The stream of the aggregate with that prefix and identity.
pub(crate) fn stream_id(prefix: &str, identity: &str) -> Result<StreamId, InvalidIdentity> {
    check_prefix(prefix)?;
    if identity.is_empty() {
        return Err(InvalidIdentity::Empty);
    }
    Ok(StreamId::new(format!("{prefix}-{identity}"))?)
}

pub(crate) fn check_prefix(prefix: &str) -> Result<(), InvalidIdentity> {
    if prefix.is_empty() || prefix.contains('-') {
        return Err(InvalidIdentity::Prefix(prefix.to_owned()));
    }
    Ok(())
}
