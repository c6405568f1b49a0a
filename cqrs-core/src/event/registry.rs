use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use crate::event::{EventRegistration, EventSchema, EventSet};

/// The event types of a program, by wire name.
///
/// It is filled by `#[derive(Event)]`. A crate that nothing mentions is not linked by Rust, and its events
/// are then missing here: write `use the_crate as _;`, or register them with the application's builder.
#[derive(Clone, Debug, Default)]
pub struct EventRegistry {
    by_name: BTreeMap<&'static str, &'static EventSchema>,
    by_stored_name: HashMap<&'static str, &'static EventSchema>,
    faults: Vec<RegistryFault>,
}

/// What is wrong with the event types of a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryFault {
    /// Two event types have one wire name, or one has the name that another had.
    #[error(
        "event name {name:?} is taken twice: at {first} and at {second}; give one of them another name with `#[event(name = \"..\")]`"
    )]
    DuplicateName {
        /// The name.
        name: &'static str,
        /// Where the one is declared.
        first: String,
        /// Where the other is declared.
        second: String,
    },
    /// An upcaster gives events of a type that is not registered.
    #[error(
        "the upcaster of event {name:?} at {at} from version {from} gives {produced:?}, which is not registered"
    )]
    UnknownUpcast {
        /// The wire name.
        name: &'static str,
        /// Where the type is declared.
        at: String,
        /// The version that the upcaster takes.
        from: u32,
        /// The wire name that nobody knows.
        produced: &'static str,
    },
    /// An event type lacks an upcaster.
    #[error(
        "event {name:?} at {at} is of version {version} but has no upcaster from version {from}; add `upcast({from} => function)`"
    )]
    MissingUpcaster {
        /// The wire name.
        name: &'static str,
        /// Where the type is declared.
        at: String,
        /// Its version.
        version: u32,
        /// The version that cannot be read.
        from: u32,
    },
}

impl EventRegistry {
    /// All types that were derived in this program.
    #[must_use]
    pub fn of_program() -> Self {
        let mut registry = Self::default();
        let mut schemas: Vec<_> =
            inventory::iter::<EventRegistration>().map(|registration| registration.schema).collect();
        // `inventory` has no order of its own.
        schemas.sort_by_key(|schema| (schema.name, schema.file, schema.line));
        schemas.into_iter().for_each(|schema| registry.register(schema));
        registry
    }

    /// Adds a type; one that is there already is left alone.
    pub fn register(&mut self, schema: &'static EventSchema) {
        if self.by_name.get(schema.name).is_some_and(|known| is_same(known, schema)) {
            return;
        }
        for name in std::iter::once(&schema.name).chain(schema.aliases) {
            match self.by_stored_name.get(name) {
                Some(other) => {
                    let (first, second) = (place(other), place(schema));
                    self.fault(RegistryFault::DuplicateName { name, first, second });
                }
                None => drop(self.by_stored_name.insert(name, schema)),
            }
        }
        let missing = (1..schema.version).filter(|from| schema.upcaster(*from).is_none());
        for from in missing {
            let (name, at, version) = (schema.name, place(schema), schema.version);
            self.fault(RegistryFault::MissingUpcaster { name, at, version, from });
        }
        self.by_name.entry(schema.name).or_insert(schema);
    }

    /// Looks for upcasters that give events of types that nobody has registered.
    pub(crate) fn check_upcasters(&mut self) {
        let schemas: Vec<_> = self.events().collect();
        for schema in schemas {
            for upcaster in schema.upcasters {
                for produced in upcaster.produces {
                    if self.find(produced).is_none() {
                        let (name, at, from) = (schema.name, place(schema), upcaster.from);
                        self.fault(RegistryFault::UnknownUpcast { name, at, from, produced });
                    }
                }
            }
        }
    }

    /// Notes a fault, once: a type is registered by everything that uses it.
    fn fault(&mut self, fault: RegistryFault) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// The types, ordered by name.
    pub fn events(&self) -> impl Iterator<Item = &'static EventSchema> {
        self.by_name.values().copied()
    }

    /// What is wrong, all of it.
    #[must_use]
    pub fn faults(&self) -> &[RegistryFault] {
        &self.faults
    }

    /// The type that is stored under `name`, its present name or one of old.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'static EventSchema> {
        self.by_stored_name.get(name).copied()
    }

    /// Whether this very type is registered.
    pub(crate) fn knows(&self, schema: &EventSchema) -> bool {
        self.by_name.get(schema.name).is_some_and(|known| is_same(known, schema))
    }

    /// The wire names that may turn into an event of `Set` when read: those of its types, present and of
    /// old, and of all types whose upcasters may give one.
    pub(crate) fn stored_names_of<Set: EventSet>(&self) -> HashSet<&'static str> {
        let mut wanted: HashSet<&'static str> = Set::schemas().iter().map(|schema| schema.name).collect();
        // An upcaster may give what another upcaster turns into a wanted type, hence to the fixed point.
        loop {
            let before = wanted.len();
            for schema in self.events() {
                let gives_wanted = schema
                    .upcasters
                    .iter()
                    .flat_map(|upcaster| upcaster.produces)
                    .any(|name| self.find(name).is_some_and(|produced| wanted.contains(produced.name)));
                if gives_wanted {
                    wanted.insert(schema.name);
                }
            }
            if wanted.len() == before {
                break;
            }
        }
        let aliases: Vec<_> = wanted
            .iter()
            .filter_map(|name| self.by_name.get(name))
            .flat_map(|schema| schema.aliases.iter().copied())
            .collect();
        wanted.extend(aliases);
        wanted
    }
}

impl fmt::Display for EventRegistry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for schema in self.events() {
            writeln!(formatter, "{} v{} ({})", schema.name, schema.version, schema.krate)?;
        }
        Ok(())
    }
}

fn is_same(one: &EventSchema, other: &EventSchema) -> bool {
    (one.name, one.version, one.file, one.line, one.krate)
        == (other.name, other.version, other.file, other.line, other.krate)
}

fn place(schema: &EventSchema) -> String {
    format!("{}:{}", schema.file, schema.line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Upcast, Upcaster};

    const UPCASTERS: &[Upcaster] =
        &[Upcaster::new(1, |payload| Ok(Upcast::Next(payload))).producing(&["Nobody"])];
    const SALE: EventSchema = EventSchema::new("Sale", 3).upcasters(UPCASTERS).at("sale.rs", 1);
    const OTHER_SALE: EventSchema = EventSchema::new("Sold", 1).aliases(&["Sale"]).at("other.rs", 2);

    #[test]
    fn every_fault_is_found_once() {
        let mut registry = EventRegistry::default();
        for schema in [&SALE, &OTHER_SALE, &SALE, &OTHER_SALE] {
            registry.register(schema);
        }
        registry.check_upcasters();
        let faults: Vec<_> = registry.faults().iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].contains("\"Sale\"") && faults[0].contains("version 2"), "{faults:?}");
        assert!(faults[1].contains("sale.rs:1") && faults[1].contains("other.rs:2"), "{faults:?}");
        assert!(faults[2].contains("\"Nobody\""), "{faults:?}");
    }
}
