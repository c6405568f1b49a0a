use crate::event::EventShape;
use crate::schema::locked::{LockedEvent, LockedField, LockedPayload};
use crate::schema::{EventLock, SchemaFault, SchemaUpdate};

impl EventLock {
    /// What keeps `program` from reading the events that are stored in the shapes of this file.
    #[must_use]
    pub fn faults_of(&self, program: &Self) -> Vec<SchemaFault> {
        let mut faults = Vec::new();
        for (name, event) in &self.events {
            match program.find(name) {
                None => faults.push(SchemaFault::EventRemoved { event: name.clone() }),
                Some((present, now)) => compare_event(present, event, now, &mut faults),
            }
            for alias in event.aliases.iter().filter(|alias| program.find(alias).is_none()) {
                faults.push(SchemaFault::AliasRemoved { event: name.clone(), alias: alias.clone() });
            }
        }
        faults
    }

    /// What is otherwise different in `program`.
    #[must_use]
    pub fn updates_of(&self, program: &Self) -> Vec<SchemaUpdate> {
        let mut updates = Vec::new();
        for (name, event) in &self.events {
            let Some((present, now)) = program.find(name) else { continue };
            if present != name {
                updates.push(SchemaUpdate::Renamed { from: name.clone(), to: present.to_owned() });
            }
            let (event_name, from, to) = (present.to_owned(), event.version, now.version);
            if to > from {
                updates.push(SchemaUpdate::VersionRaised { event: event_name, from, to });
            } else if present == name && event != now {
                updates.push(SchemaUpdate::Changed { event: event_name });
            }
        }
        let is_new = |event: &(&String, &LockedEvent)| {
            let (name, now) = event;
            std::iter::once(*name).chain(&now.aliases).all(|name| !self.events.contains_key(name))
        };
        let added = program.events.iter().filter(is_new);
        updates.extend(added.map(|(name, _)| SchemaUpdate::Added { event: name.clone() }));
        updates
    }
}

/// A version that was raised is answered for by its upcasters, without which there is no event type.
fn compare_event(name: &str, before: &LockedEvent, now: &LockedEvent, faults: &mut Vec<SchemaFault>) {
    let (event, from, to) = (name.to_owned(), before.version, now.version);
    if to < from {
        faults.push(SchemaFault::VersionLowered { event, from, to });
        return;
    }
    if to > from {
        return;
    }
    let mut comparison = Comparison { event, version: to, variant: None, faults };
    if !comparison.compare_payload(&before.payload, &now.payload) {
        return;
    }
    for variant in &before.variants {
        let is_read =
            |name: &String| now.variants.iter().find(|now| now.name == *name || now.aliases.contains(name));
        let Some(same) = is_read(&variant.name) else {
            comparison.variant_removed(&variant.name);
            continue;
        };
        for alias in variant.aliases.iter().filter(|alias| is_read(alias).is_none()) {
            comparison.variant_removed(alias);
        }
        comparison.variant = Some(&variant.name);
        comparison.compare_payload(&variant.payload, &same.payload);
    }
}

/// The comparison of an event with itself in the same version.
struct Comparison<'a> {
    event: String,
    version: u32,
    variant: Option<&'a str>,
    faults: &'a mut Vec<SchemaFault>,
}

impl Comparison<'_> {
    /// Whether both are of one shape, so that there is more to compare. Of what the file does not know nothing can be
    /// said; what it knows has to be known of the program, too, or nobody would notice the next change.
    fn compare_payload(&mut self, before: &LockedPayload, now: &LockedPayload) -> bool {
        let unknown = EventShape::Unknown.to_string();
        if before.shape == unknown {
            return false;
        }
        if before.shape != now.shape {
            let place =
                self.variant.map_or_else(|| "the payload".to_owned(), |name| format!("the variant `{name}`"));
            let (event, version) = (self.event.clone(), self.version);
            let (from, to) = (before.shape.clone(), now.shape.clone());
            self.faults.push(if to == unknown {
                SchemaFault::ShapeUnknown { event, version, place, from }
            } else {
                SchemaFault::ShapeChanged { event, version, place, from, to }
            });
            return false;
        }
        for field in &before.fields {
            self.compare_field(field, &now.fields);
        }
        for field in now.fields.iter().filter(|field| !field.is_optional) {
            if !before.fields.iter().any(|before| field.reads(before)) {
                self.field_required(field);
            }
        }
        true
    }

    fn compare_field(&mut self, before: &LockedField, fields: &[LockedField]) {
        let Some(now) = fields.iter().find(|now| now.reads(before)) else {
            self.field_removed(before, &before.name);
            return;
        };
        for alias in &before.aliases {
            if !fields.iter().any(|now| now.name == *alias || now.aliases.contains(alias)) {
                self.field_removed(before, alias);
            }
        }
        if before.stored_as() != now.stored_as() && !now.is_option_of(before) {
            let field = self.place(before, &before.name);
            let (event, version) = (self.event.clone(), self.version);
            let (from, to) = (before.stored_as(), now.stored_as());
            self.faults.push(SchemaFault::FieldChanged { event, version, field, from, to });
        }
        if before.is_optional && !now.is_optional {
            self.field_required(now);
        }
    }

    fn field_removed(&mut self, field: &LockedField, name: &str) {
        let (event, version, field) = (self.event.clone(), self.version, self.place(field, name));
        self.faults.push(SchemaFault::FieldRemoved { event, version, field });
    }

    fn field_required(&mut self, field: &LockedField) {
        let (event, version, field) = (self.event.clone(), self.version, self.place(field, &field.name));
        self.faults.push(SchemaFault::FieldRequired { event, version, field });
    }

    fn variant_removed(&mut self, variant: &str) {
        let (event, version, variant) = (self.event.clone(), self.version, variant.to_owned());
        self.faults.push(SchemaFault::VariantRemoved { event, version, variant });
    }

    fn place(&self, field: &LockedField, name: &str) -> String {
        let place = self.variant.map(|variant| format!(" of the variant `{variant}`")).unwrap_or_default();
        let what = if field.is_flattened { "the flattened field" } else { "the field" };
        format!("{what} `{name}`{place}")
    }
}

impl LockedField {
    /// Whether this field reads what the other one, of old, has written. The name of a flattened field is not on the
    /// wire, so that its type stands for it.
    fn reads(&self, before: &Self) -> bool {
        match (self.is_flattened, before.is_flattened) {
            (true, true) => self.ty == before.ty,
            (false, false) => self.name == before.name || self.aliases.contains(&before.name),
            _ => false,
        }
    }

    fn stored_as(&self) -> String {
        if self.with.is_empty() { self.ty.clone() } else { format!("{} with {}", self.ty, self.with) }
    }

    /// Whether this is the other one, of old, as an `Option`, which reads every value of it.
    fn is_option_of(&self, before: &Self) -> bool {
        self.with == before.with && self.ty == format!("Option<{}>", before.ty)
    }
}
