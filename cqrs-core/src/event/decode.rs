use std::borrow::Cow;

use crate::event::{EventRegistry, EventSchema, EventSet, Payload, RawEvent, Upcast, UpcastError};
use crate::store::RecordedEvent;

/// A stored event that cannot be made a typed value again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// No type of this name is known.
    #[error("position {position}: event type {name:?} is not registered")]
    UnknownType {
        /// Where the event stands in the log.
        position: u64,
        /// Its wire name.
        name: String,
    },
    /// The type is known, but whoever reads does not understand it.
    #[error("position {position}: event type {name:?} does not belong in stream {stream_id:?}")]
    ForeignType {
        /// Where the event stands in the log.
        position: u64,
        /// Its wire name.
        name: String,
        /// The stream.
        stream_id: String,
    },
    /// The event was written by a newer program.
    #[error("position {position}: event {name:?} is of version {version}, this program knows up to {known}")]
    NewerVersion {
        /// Where the event stands in the log.
        position: u64,
        /// Its wire name.
        name: String,
        /// Its version.
        version: u32,
        /// The latest version known.
        known: u32,
    },
    /// There is no upcaster from this version.
    #[error("position {position}: event {name:?} has no upcaster from version {version}")]
    NoUpcaster {
        /// Where the event stands in the log.
        position: u64,
        /// Its wire name.
        name: String,
        /// Its version.
        version: u32,
    },
    /// An upcaster failed.
    #[error("position {position}: event {name:?} could not be upcast from version {version}")]
    Upcast {
        /// Where the event stands in the log.
        position: u64,
        /// Its wire name.
        name: String,
        /// The version that it could not be lifted from.
        version: u32,
        /// What the upcaster said.
        #[source]
        source: UpcastError,
    },
    /// An upcaster gave an event of a type that it did not declare.
    #[error(
        "position {position}: the upcaster of event {name:?} gave {produced:?}, which it does not declare; write `upcast({version} => function -> [{produced}])`"
    )]
    UndeclaredUpcast {
        /// Where the event stands in the log.
        position: u64,
        /// Its wire name.
        name: String,
        /// The version that the upcaster takes.
        version: u32,
        /// What it gave.
        produced: String,
    },
    /// The payload does not fit the type.
    #[error("position {position}: the payload of event {name:?} does not fit its type")]
    Malformed {
        /// Where the event stands in the log.
        position: u64,
        /// Its wire name.
        name: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
}

/// An event that was read, as one that the reader understands or not.
pub(crate) enum Decoded<Set> {
    Event(Set),
    /// Of a type that is not in the set.
    Foreign(String),
}

/// The single decode point: every stored event becomes typed values here, for aggregates and handlers
/// alike. Upcasting is one to many, so `each` is called for none, one or several values.
///
/// An upcast chain always ends, as each step leads to a higher version of its type or to a declared other
/// type, and the number of steps is bounded against types that produce each other.
pub(crate) fn decode<Set: EventSet, E: From<DecodeError>>(
    registry: &EventRegistry,
    event: &RecordedEvent,
    mut each: impl FnMut(Decoded<Set>) -> Result<(), E>,
) -> Result<(), E> {
    let schema = registry.find(&event.event_type).ok_or_else(|| DecodeError::UnknownType {
        position: event.position,
        name: event.event_type.clone().into_owned(),
    })?;
    if event.schema_version == schema.version {
        return each(to_set(schema, Payload::Stored(&event.data), event.position)?);
    }
    let malformed = |source| malformed(schema, event.position, source);
    let data = serde_json::from_slice(&event.data).map_err(malformed)?;
    let oldest = RawEvent::new(schema.name, event.schema_version, data);
    upcast(registry, event.position, oldest, &mut |schema, raw| {
        each(to_set(schema, Payload::Upcast(Cow::Owned(raw.data)), event.position)?)
    })
}

/// More steps than any real chain of versions has.
const MAX_UPCASTS: usize = 10_000;

fn upcast<E: From<DecodeError>>(
    registry: &EventRegistry,
    position: u64,
    oldest: RawEvent,
    each: &mut dyn FnMut(&'static EventSchema, RawEvent) -> Result<(), E>,
) -> Result<(), E> {
    let mut pending = vec![oldest];
    let mut steps = 0;
    while let Some(raw) = pending.pop() {
        let RawEvent { name, version, data } = raw;
        let Some(schema) = registry.find(&name) else {
            return Err(DecodeError::UnknownType { position, name: name.into_owned() }.into());
        };
        let name = || schema.name.to_owned();
        if version == schema.version {
            each(schema, RawEvent::new(schema.name, version, data))?;
            continue;
        }
        if version > schema.version {
            let known = schema.version;
            return Err(DecodeError::NewerVersion { position, name: name(), version, known }.into());
        }
        steps += 1;
        let upcaster = schema.upcaster(version).filter(|_| steps <= MAX_UPCASTS);
        let Some(upcaster) = upcaster else {
            return Err(DecodeError::NoUpcaster { position, name: name(), version }.into());
        };
        let upcast = (upcaster.upcast)(data);
        match upcast.map_err(|source| DecodeError::Upcast { position, name: name(), version, source })? {
            Upcast::Next(data) => pending.push(RawEvent::new(schema.name, version + 1, data)),
            Upcast::Events(events) => {
                for produced in &events {
                    let declared = produced.name == schema.name || {
                        upcaster.produces.iter().any(|declared| *declared == produced.name)
                    };
                    if !declared {
                        let produced = produced.name.clone().into_owned();
                        let name = name();
                        return Err(
                            DecodeError::UndeclaredUpcast { position, name, version, produced }.into()
                        );
                    }
                }
                // `pending` is a stack: pushed in reverse, the events come out in their order.
                pending.extend(events.into_iter().rev());
            }
        }
    }
    Ok(())
}

fn to_set<Set: EventSet>(
    schema: &'static EventSchema,
    payload: Payload<'_>,
    position: u64,
) -> Result<Decoded<Set>, DecodeError> {
    match Set::decode(schema, payload) {
        Ok(Some(event)) => Ok(Decoded::Event(event)),
        Ok(None) => Ok(Decoded::Foreign(schema.name.to_owned())),
        Err(source) => Err(malformed(schema, position, source)),
    }
}

fn malformed(schema: &EventSchema, position: u64, source: serde_json::Error) -> DecodeError {
    DecodeError::Malformed { position, name: schema.name.to_owned(), source }
}
