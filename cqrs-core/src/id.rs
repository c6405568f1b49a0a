//! Identifiers: one newtype for each, so that they cannot be mixed up.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Timestamp, Uuid};

/// Names the space in which keys that are not UUIDs become command ids.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x9b1c_58de_6c1f_4c0e_8b9b_5f1d_3c52_07a1);

/// Names the space of the ids of messages.
const MESSAGE_NAMESPACE: Uuid = Uuid::from_u128(0x2f0a_7c1d_93b4_4e58_a6d0_71c8_e54b_0f36);

thread_local! {
    /// Keeps the ids of a thread in the order in which they were made. One for the whole process would be a
    /// lock that every command of every thread takes several times.
    static ORDER: ContextV7 = const { ContextV7::new() };
}

fn fresh() -> Uuid {
    ORDER.with(|order| Uuid::new_v7(Timestamp::now(order)))
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh identifier: a UUID of version 7, which sorts by time of creation.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "a default that differs at every call would surprise")]
            pub fn new() -> Self {
                Self(fresh())
            }

            /// The UUID.
            #[must_use]
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
    };
}

identifier! {
    /// Identifies an event, for ever and in every store.
    EventId
}

identifier! {
    /// Identifies a command, and with it the one append that the command may make.
    CommandId
}

identifier! {
    /// Ties together all that one first command led to.
    CorrelationId
}

identifier! {
    /// Identifies the message, a command or an event, that caused another one.
    CausationId
}

identifier! {
    /// Identifies a record of an audit; drawn when its command comes to the layer, so that ids sort by time.
    AuditId
}

identifier! {
    /// Identifies an application instance that runs, the owner of leases; drawn at each start.
    NodeId
}

identifier! {
    /// Identifies a message that a publisher hands to others.
    MessageId
}

impl MessageId {
    /// The id of the message that a publisher makes of the typed value number `ordinal` of an event; a stored event is one
    /// such value, unless it is upcast to several. Equal parts give equal ids (a UUID of version 5).
    #[must_use]
    pub fn of(publisher: &str, event_id: EventId, ordinal: usize) -> Self {
        let key = format!("{event_id}/{ordinal}/{publisher}");
        Self(Uuid::new_v5(&MESSAGE_NAMESPACE, key.as_bytes()))
    }
}

impl CommandId {
    /// The id that belongs to a caller's own key, such as an idempotency key of a request: equal keys give
    /// equal ids (a UUID of version 5).
    #[must_use]
    pub fn from_key(key: &str) -> Self {
        Self(Uuid::new_v5(&KEY_NAMESPACE, key.as_bytes()))
    }
}

impl From<CommandId> for CausationId {
    fn from(id: CommandId) -> Self {
        Self(id.0)
    }
}

impl From<EventId> for CausationId {
    fn from(id: EventId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_001_new_ids_are_unique_and_of_fixed_length() {
        let first = CommandId::new();
        assert_ne!(first, CommandId::new());
        assert_eq!(first.to_string().len(), 36);
    }

    #[test]
    fn equal_keys_give_equal_command_ids() {
        assert_eq!(CommandId::from_key("request-1"), CommandId::from_key("request-1"));
        assert_ne!(CommandId::from_key("request-1"), CommandId::from_key("request-2"));
    }
}
