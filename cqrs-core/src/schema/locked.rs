use std::collections::BTreeMap;

use crate::event::{EventField, EventRegistry, EventSchema, EventShape, EventVariant};

/// The shapes of events, of a program or of a file. Its text is that of the file, and can be parsed.
///
/// ```
/// use cqrs_core::event::EventRegistry;
/// use cqrs_core::schema::EventLock;
///
/// let committed: EventLock = "
///     event Withdrawn
///         version 1
///         shape struct
///         field amount: u64
/// ".parse()?;
/// let program = EventLock::of(&EventRegistry::of_program());
/// let faults = committed.faults_of(&program);
/// assert_eq!(faults.len(), 1);
/// assert!(faults[0].to_string().contains("is gone"), "this program has no events");
/// # Ok::<(), cqrs_core::schema::LockSyntaxError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventLock {
    pub(crate) events: BTreeMap<String, LockedEvent>,
}

/// An event type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LockedEvent {
    pub(crate) version: u32,
    /// In order.
    pub(crate) aliases: Vec<String>,
    pub(crate) payload: LockedPayload,
    /// Ordered by name.
    pub(crate) variants: Vec<LockedVariant>,
}

/// What an event, or a variant of it, holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LockedPayload {
    /// In the words of [`EventShape`].
    pub(crate) shape: String,
    /// Ordered by name where the order does not matter.
    pub(crate) fields: Vec<LockedField>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockedVariant {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) payload: LockedPayload,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LockedField {
    pub(crate) name: String,
    pub(crate) ty: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) is_optional: bool,
    pub(crate) is_flattened: bool,
    pub(crate) with: String,
}

impl EventLock {
    /// The shapes of registered events.
    #[must_use]
    pub fn of(registry: &EventRegistry) -> Self {
        let events = registry.events().map(|schema| (schema.name.to_owned(), LockedEvent::of(schema)));
        Self { events: events.collect() }
    }

    /// The event type that is stored under a name, its present name or one of old.
    pub(crate) fn find(&self, stored: &str) -> Option<(&str, &LockedEvent)> {
        let present = self.events.get_key_value(stored);
        let by_alias =
            || self.events.iter().find(|(_, event)| event.aliases.iter().any(|alias| alias == stored));
        present.or_else(by_alias).map(|(name, event)| (name.as_str(), event))
    }
}

impl LockedEvent {
    fn of(schema: &EventSchema) -> Self {
        let mut variants: Vec<_> = schema.variants.iter().map(LockedVariant::of).collect();
        variants.sort_by(|one, other| one.name.cmp(&other.name));
        Self {
            version: schema.version,
            aliases: in_order(schema.aliases),
            payload: LockedPayload::of(schema.shape, schema.fields),
            variants,
        }
    }
}

impl LockedPayload {
    fn of(shape: EventShape, fields: &[EventField]) -> Self {
        let mut fields: Vec<_> = fields.iter().map(LockedField::of).collect();
        if !matches!(shape, EventShape::Tuple) {
            fields.sort_by(|one, other| one.name.cmp(&other.name));
        }
        Self { shape: shape.to_string(), fields }
    }
}

impl LockedVariant {
    fn of(variant: &EventVariant) -> Self {
        Self {
            name: variant.name.to_owned(),
            aliases: in_order(variant.aliases),
            payload: LockedPayload::of(variant.shape, variant.fields),
        }
    }
}

impl LockedField {
    fn of(field: &EventField) -> Self {
        Self {
            name: field.name.to_owned(),
            ty: without_paths(field.ty),
            aliases: in_order(field.aliases),
            is_optional: field.is_optional,
            is_flattened: field.is_flattened,
            with: field.with.to_owned(),
        }
    }
}

fn in_order(names: &[&str]) -> Vec<String> {
    let mut names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    names.sort();
    names
}

/// `Option<Uuid>` of `Option<uuid::Uuid>`: where a type lies says nothing of what is stored.
fn without_paths(ty: &str) -> String {
    let mut short = String::with_capacity(ty.len());
    let mut rest = ty;
    while let Some(next) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("::") {
            let is_word = |character: char| character.is_alphanumeric() || character == '_';
            short.truncate(short.trim_end_matches(is_word).len());
            rest = behind;
        } else {
            short.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_without_their_paths() {
        let cases = [
            ("u64", "u64"),
            ("std::string::String", "String"),
            ("::std::vec::Vec<crate::money::Amount>", "Vec<Amount>"),
            ("HashMap<a::Key, Option<b::Value>>", "HashMap<Key, Option<Value>>"),
            ("(a::B, [c::D; 4])", "(B, [D; 4])"),
        ];
        for (ty, short) in cases {
            assert_eq!(without_paths(ty), short);
        }
    }
}
