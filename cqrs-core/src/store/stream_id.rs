use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Names a stream: 1 to 255 bytes of text without control characters, not starting with `$`.
///
/// The stream of an aggregate is named `<prefix>-<identity>`; the prefix is the stream's category and holds
/// no `-`, so that two aggregate types never share a stream. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId(Arc<str>);

/// A text that cannot name a stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStreamId {
    /// It is empty.
    #[error("a stream id must not be empty")]
    Empty,
    /// It is longer than [`StreamId::MAX_BYTES`].
    #[error("a stream id has at most {max} bytes, this one has {length}", max = StreamId::MAX_BYTES)]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It holds a control character.
    #[error("stream id {text:?} holds a control character at byte {at}")]
    ControlCharacter {
        /// The text.
        text: String,
        /// Where the character stands.
        at: usize,
    },
    /// It starts with `$`, which is kept for names of the framework.
    #[error("stream id {text:?} starts with `$`, which is reserved")]
    Reserved {
        /// The text.
        text: String,
    },
}

impl StreamId {
    /// The longest stream id, in bytes.
    pub const MAX_BYTES: usize = 255;

    /// Checks `text` and makes it a stream id.
    ///
    /// # Errors
    /// When the text is empty, too long, holds a control character or starts with `$`.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidStreamId> {
        let text = text.as_ref();
        if text.is_empty() {
            return Err(InvalidStreamId::Empty);
        }
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidStreamId::TooLong { length: text.len() });
        }
        if let Some((at, _)) = text.char_indices().find(|(_, character)| character.is_control()) {
            return Err(InvalidStreamId::ControlCharacter { text: text.to_owned(), at });
        }
        if text.starts_with('$') {
            return Err(InvalidStreamId::Reserved { text: text.to_owned() });
        }
        Ok(Self(Arc::from(text)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first `-`: the prefix of an aggregate's stream, or the whole text.
    #[must_use]
    pub fn category(&self) -> &str {
        self.0.split_once('-').map_or(&*self.0, |(category, _)| category)
    }

    /// What stands behind the first `-`: the identity of an aggregate, or nothing.
    #[must_use]
    pub fn identity(&self) -> &str {
        self.0.split_once('-').map_or("", |(_, identity)| identity)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl AsRef<str> for StreamId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StreamId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl TryFrom<&str> for StreamId {
    type Error = InvalidStreamId;

    fn try_from(text: &str) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_id_splits_at_its_first_dash() {
        let id = StreamId::new("account-a-1").unwrap();
        assert_eq!((id.category(), id.identity()), ("account", "a-1"));
    }

    #[test]
    fn texts_that_cannot_name_a_stream_are_refused() {
        assert_eq!(StreamId::new(""), Err(InvalidStreamId::Empty));
        assert_eq!(StreamId::new("a".repeat(256)), Err(InvalidStreamId::TooLong { length: 256 }));
        assert!(matches!(StreamId::new("a\nb"), Err(InvalidStreamId::ControlCharacter { at: 1, .. })));
        assert!(matches!(StreamId::new("$all"), Err(InvalidStreamId::Reserved { .. })));
        assert!(StreamId::new("a".repeat(255)).is_ok());
    }
}
