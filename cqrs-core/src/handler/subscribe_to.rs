use std::fmt;

use crate::command::check_prefix;
use crate::id::CorrelationId;
use crate::store::{EventFilter, InvalidStreamId, StreamId};

/// What a handler is subscribed to: all streams, some of them, or what belongs together. It is given the events of its
/// types among these, and waits for no others; a strong dispatch of others does not wait for it.
///
/// An event belongs to the stream that it was written to. One that is linked into a further stream does not come again
/// there, nor to who is subscribed to that stream. The events of a stream that was deleted softly still come.
///
/// Whatever it is subscribed to, a handler's position is one in the log, where it begins as well
/// ([`StartFrom`](crate::handler::StartFrom)). A subscription that is changed counts from that position on: earlier events
/// of the new streams come when the handler is [reset](crate::handler::HandlerHandle::reset), or the
/// [version](crate::projection::Projection::VERSION) of the projection grows.
///
/// ```
/// use cqrs_core::handler::SubscribeTo;
///
/// let subscribe_to = SubscribeTo::Category("account");
/// assert_eq!(subscribe_to.to_string(), "category \"account\"");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SubscribeTo {
    /// All streams.
    #[default]
    All,
    /// The streams of a category: those whose name has this before its first `-`. It is the stream prefix of an aggregate,
    /// and neither empty nor with a `-`.
    Category(&'static str),
    /// One stream, by its name: that of an aggregate is `<prefix>-<identity>`. It need not exist yet.
    Stream(&'static str),
    /// The events of one correlation, whichever streams they are in: all that one first command led to. It is known while
    /// the application runs, and is for event handlers that are added then
    /// ([`Running::add_event_handler_to`](crate::application::Running::add_event_handler_to)).
    Correlation(CorrelationId),
}

/// Why there can be no stream that a handler is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSubscription {
    /// A category is empty or holds a `-`.
    #[error("a category is not empty, and ends before the first `-`")]
    Category,
    /// It cannot name a stream, or begin the name of one.
    #[error(transparent)]
    StreamId(#[from] InvalidStreamId),
}

impl SubscribeTo {
    /// That there can be such streams.
    pub(crate) fn check(self) -> Result<(), InvalidSubscription> {
        match self {
            Self::All | Self::Correlation(_) => {}
            Self::Category(category) => {
                check_prefix(category).map_err(|_| InvalidSubscription::Category)?;
                StreamId::new(category)?;
            }
            Self::Stream(name) => drop(StreamId::new(name)?),
        }
        Ok(())
    }

    /// Those of the events that it is about.
    pub(crate) fn filter(self, events: EventFilter) -> EventFilter {
        match self {
            Self::All => events,
            Self::Category(category) => events.category(category),
            Self::Stream(name) => {
                events.stream(StreamId::new(name).expect("start() refuses what names no stream"))
            }
            Self::Correlation(correlation_id) => events.correlation(correlation_id),
        }
    }
}

impl fmt::Display for SubscribeTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => formatter.write_str("all streams"),
            Self::Category(category) => write!(formatter, "category {category:?}"),
            Self::Stream(name) => write!(formatter, "stream {name:?}"),
            Self::Correlation(correlation_id) => write!(formatter, "correlation {correlation_id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_stream_can_be_named_is_refused() {
        for subscribe_to in
            [SubscribeTo::All, SubscribeTo::Category("account"), SubscribeTo::Stream("account-a-1")]
        {
            assert_eq!(subscribe_to.check(), Ok(()), "{subscribe_to}");
        }
        for category in ["", "account-1", "-"] {
            assert_eq!(
                SubscribeTo::Category(category).check(),
                Err(InvalidSubscription::Category),
                "{category:?}"
            );
        }
        for name in ["$all", "a\nb"] {
            for subscribe_to in [SubscribeTo::Category(name), SubscribeTo::Stream(name)] {
                assert!(
                    matches!(subscribe_to.check(), Err(InvalidSubscription::StreamId(_))),
                    "{subscribe_to}"
                );
            }
        }
        assert!(SubscribeTo::Stream("").check().is_err());
    }
}
