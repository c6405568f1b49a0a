use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use crate::event::{DecodeError, Decoded, EventContext, EventRegistry, EventSet, decode};
use crate::handler::{Effects, is_key};
use crate::panics;
use crate::store::RecordedEvent;

/// The most partitions that a handler may have.
pub(crate) const MOST: u16 = 1_024;

/// One of the partitions of a handler. It has a place in the log, a lease and a fate of its own, and handles the events
/// whose keys fall to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) index: u16,
    pub(crate) count: u16,
}

impl Partition {
    /// Those of a handler that has `count` of them; one that is not divided has a single one.
    pub(crate) fn all(count: u16) -> impl Iterator<Item = Self> {
        (0..count.max(1)).map(move |index| Self { index, count: count.max(1) })
    }

    /// The one that a key falls to: always the same one of as many.
    pub(crate) fn of_key(key: &str, count: u16) -> Self {
        // FNV-1a: it has to be the same in each version of the program, on each machine.
        let hash = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let count = count.max(1);
        // The low bits of the sum alone depend on the low bits of the text.
        let index = (hash ^ (hash >> 32)) % u64::from(count);
        Self { index: u16::try_from(index).unwrap_or_default(), count }
    }

    /// The name under which it keeps what it keeps: that of the handler if that is not divided.
    pub(crate) fn name(self, handler: &Arc<str>) -> Arc<str> {
        match self.count {
            1 => Arc::clone(handler),
            count => Arc::from(format!("{handler}/{} of {count}", self.index)),
        }
    }

    /// The others of its handler.
    pub(crate) fn others(self) -> impl Iterator<Item = Self> {
        Self::all(self.count).filter(move |other| *other != self)
    }
}

/// Tells to which partition of a handler an event falls. The latest answers are remembered, since each partition asks.
pub(crate) struct Partitioner {
    count: u16,
    keys_of: Box<KeysOf>,
    recent: Box<[AtomicU64]>,
}

/// Tells what keeps the order of an event among others: the keys behind which it waits when they are parked. The first one
/// decides to which partition it falls.
pub(crate) type KeysOf = dyn Fn(&RecordedEvent) -> Vec<String> + Send + Sync;

/// What keeps the order of an event among others, as `partition_by` says. An event that cannot be decoded, or with which
/// that panics or gives a key that cannot be written down, goes by its stream.
pub(crate) fn key_of<Set: EventSet>(
    registry: &EventRegistry,
    event: &RecordedEvent,
    partition_by: impl Fn(&Set) -> String,
) -> String {
    let key = panics::catch(|| {
        let mut key = None;
        let decoded = decode::<Set, DecodeError>(registry, event, |decoded| {
            if let (Decoded::Event(typed), None) = (decoded, &key) {
                key = Some(partition_by(&typed));
            }
            Ok(())
        });
        decoded.ok().and(key)
    });
    key_or_stream(key.ok().flatten(), event)
}

/// The key of an event, as far as it was told and can be written down; its stream otherwise.
pub(crate) fn key_or_stream(key: Option<String>, event: &RecordedEvent) -> String {
    match key {
        Some(key) if is_key(&key) => return key,
        Some(key) => tracing::error!(
            cqrs.event_number = event.position,
            cqrs.stream_id = event.stream_id.as_str(),
            cqrs.key = ?key,
            "no database keeps this key, and the event goes by its stream: have `partition_by` give at most 255 bytes without a NUL character"
        ),
        None => {}
    }
    event.stream_id.as_str().to_owned()
}

/// Where keys are asked for: what a handler is told about an event besides the event.
pub(crate) struct KeyPlace {
    pub(crate) registry: Arc<EventRegistry>,
    pub(crate) application: Arc<str>,
    pub(crate) handler: Arc<str>,
    pub(crate) effects: Arc<Effects>,
}

impl KeyPlace {
    pub(crate) fn context(&self, event: &RecordedEvent) -> EventContext {
        let (application, handler) = (Arc::clone(&self.application), Arc::clone(&self.handler));
        EventContext::new(event.clone(), application, handler, 1, Weak::new(), Arc::clone(&self.effects))
    }
}

/// How many answers are remembered.
const RECENT: usize = 4_096;

impl Partitioner {
    pub(crate) fn new(count: u16, keys_of: Box<KeysOf>) -> Self {
        Self { count, keys_of, recent: (0..RECENT).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(crate) fn is_of(&self, event: &RecordedEvent, partition: Partition) -> bool {
        self.index_of(event) == partition.index
    }

    fn index_of(&self, event: &RecordedEvent) -> u16 {
        let place = usize::try_from(event.position).unwrap_or_default() % self.recent.len();
        let remembered = self.recent[place].load(Ordering::Relaxed);
        // The position and the index are one number, so that nobody sees a half of each.
        if remembered >> 16 == event.position {
            return u16::try_from(remembered & 0xffff).unwrap_or_default();
        }
        let keys = (self.keys_of)(event);
        let key = keys.first().map_or(event.stream_id.as_str(), String::as_str);
        let index = Partition::of_key(key, self.count).index;
        self.recent[place].store(event.position << 16 | u64::from(index), Ordering::Relaxed);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_fall_to_the_same_partition_for_ever() {
        let indexes =
            ["", "account-1", "account-2", "order-77", "ä"].map(|key| Partition::of_key(key, 16).index);
        assert_eq!(indexes, [1, 4, 1, 2, 5], "what is stored depends on it");
    }

    #[test]
    fn keys_spread_over_all_partitions() {
        let mut counts = [0; 16];
        for number in 0..16_000 {
            counts[usize::from(Partition::of_key(&format!("account-{number}"), 16).index)] += 1;
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_partition_is_the_handler() {
        let handler = Arc::from("mails");
        let names: Vec<_> =
            Partition::all(1).chain(Partition::all(2)).map(|one| one.name(&handler)).collect();
        assert_eq!(
            names.iter().map(|name| &**name).collect::<Vec<_>>(),
            ["mails", "mails/0 of 2", "mails/1 of 2"]
        );
    }
}
