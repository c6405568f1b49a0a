use cqrs::event::{EventField, EventRegistry, EventSchema, EventShape, EventVariant, Upcast, Upcaster};
use cqrs::prelude::*;
use cqrs::schema::{EventLock, SchemaFault, SchemaUpdate};

use crate::domain::{Closed, Interest, Moved, Opened, Paid, Withdrawn};

/// What is told of a committed shape and an event of today.
fn compare(committed: &str, now: &'static EventSchema) -> (Vec<String>, Vec<SchemaUpdate>) {
    let mut registry = EventRegistry::default();
    registry.register(now);
    let (committed, program): (EventLock, _) = (committed.parse().unwrap(), EventLock::of(&registry));
    let faults = committed.faults_of(&program).iter().map(ToString::to_string).collect();
    (faults, committed.updates_of(&program))
}

/// Checks that stored events cannot be read, for these reasons.
#[track_caller]
fn refused(committed: &str, now: &'static EventSchema, expected: &[&str]) {
    assert_eq!(compare(committed, now).0, expected);
}

/// Checks that stored events can be read, and what is told of the difference.
#[track_caller]
fn allowed(committed: &str, now: &'static EventSchema, expected: &[SchemaUpdate]) {
    assert_eq!(compare(committed, now), (Vec::new(), expected.to_vec()));
}

fn changed(event: &str) -> SchemaUpdate {
    SchemaUpdate::Changed { event: event.to_owned() }
}

fn withdrawn(fields: &str) -> String {
    format!("event Withdrawn\nversion 1\nshape struct\n{fields}")
}

#[test]
fn the_same_is_no_change() {
    let same = withdrawn(
        "field amount: u64\nfield currency: Option<String>; optional\nfield note: String; alias \"memo\"; optional",
    );
    allowed(&same, Withdrawn::SCHEMA, &[]);
}

#[test]
fn a_field_that_is_removed_or_renamed_is_refused() {
    refused(
        &withdrawn("field amount: u64\nfield fee: u64; optional"),
        Withdrawn::SCHEMA,
        &["event \"Withdrawn\" version 1: the field `fee` is gone"],
    );
    refused(
        &withdrawn("field cents: u64"),
        Withdrawn::SCHEMA,
        &[
            "event \"Withdrawn\" version 1: the field `cents` is gone",
            "event \"Withdrawn\" version 1: the field `amount` is required, and payloads are stored without it",
        ],
    );
}

#[test]
fn a_field_with_its_old_name_as_an_alias_is_allowed() {
    allowed(&withdrawn("field amount: u64\nfield memo: String"), Withdrawn::SCHEMA, &[changed("Withdrawn")]);
}

#[test]
fn an_alias_that_is_removed_is_refused() {
    refused(
        &withdrawn("field amount: u64; alias \"sum\""),
        Withdrawn::SCHEMA,
        &["event \"Withdrawn\" version 1: the field `sum` is gone"],
    );
}

#[test]
fn a_field_of_another_type_is_refused() {
    refused(
        &withdrawn("field amount: u32\nfield currency: Option<u8>; optional"),
        Withdrawn::SCHEMA,
        &[
            "event \"Withdrawn\" version 1: the field `amount` was `u32`, and is now `u64`",
            "event \"Withdrawn\" version 1: the field `currency` was `Option<u8>`, and is now `Option<String>`",
        ],
    );
}

#[test]
fn a_field_that_is_written_in_another_way_is_refused() {
    refused(
        "event Moved\nversion 1\nshape struct\nfield address: Address; flattened\nfield \"when: exactly\": u64",
        Moved::SCHEMA,
        &["event \"Moved\" version 1: the field `when: exactly` was `u64`, and is now `u64 with as_text`"],
    );
}

#[test]
fn a_field_that_may_be_missing_is_allowed_and_one_that_may_not_is_refused() {
    allowed(&withdrawn("field amount: u64"), Withdrawn::SCHEMA, &[changed("Withdrawn")]);
    allowed(
        &withdrawn("field amount: u64\nfield currency: String"),
        Withdrawn::SCHEMA,
        &[changed("Withdrawn")],
    );
    let required =
        "event \"Withdrawn\" version 1: the field `amount` is required, and payloads are stored without it";
    refused(&withdrawn("field note: String"), Withdrawn::SCHEMA, &[required]);
    refused(&withdrawn("field amount: u64; optional"), Withdrawn::SCHEMA, &[required]);
}

#[test]
fn the_content_of_a_flattened_field_stands_for_it() {
    let moved = |fields: &str| {
        format!(
            "event Moved\nversion 1\nshape struct\n{fields}\nfield \"when: exactly\": u64; with \"as_text\""
        )
    };
    allowed(&moved("field place: Address; flattened"), Moved::SCHEMA, &[changed("Moved")]);
    refused(
        &moved("field address: Street; flattened"),
        Moved::SCHEMA,
        &[
            "event \"Moved\" version 1: the flattened field `address` is gone",
            "event \"Moved\" version 1: the flattened field `address` is required, and payloads are stored without it",
        ],
    );
}

#[test]
fn a_payload_that_is_something_else_is_refused() {
    refused(
        "event Closed\nversion 1\nshape struct",
        Closed::SCHEMA,
        &["event \"Closed\" version 1: the payload was of shape \"struct\", and is now \"unit\""],
    );
    refused(
        "event Paid\nversion 1\nshape enum with tag \"kind\"",
        Paid::SCHEMA,
        &[
            "event \"Paid\" version 1: the payload was of shape \"enum with tag \"kind\"\", and is now \"enum\"",
        ],
    );
}

#[test]
fn what_is_not_known_is_not_compared() {
    allowed("event Closed\nversion 1\nshape unknown\nfield a: b", Closed::SCHEMA, &[changed("Closed")]);
}

/// A schema that is written by hand in place of a derived one.
#[test]
fn what_is_not_known_any_more_is_refused_until_it_is_said_or_the_version_is_raised() {
    const SILENT: &EventSchema = &EventSchema::new("Sold", 1);
    const SAID: &EventSchema = &EventSchema::new("Sold", 1)
        .shape(EventShape::Struct)
        .fields(&[EventField::new("amount", "u64"), EventField::new("note", "String").optional()]);
    const CHANGED: &EventSchema =
        &EventSchema::new("Sold", 1).shape(EventShape::Struct).fields(&[EventField::new("amount", "u8")]);
    const RAISED: &EventSchema = &EventSchema::new("Sold", 2).upcasters(&[SOLD_1]);
    let committed = "event Sold\nversion 1\nshape struct\nfield amount: u64\nfield note: String; optional";
    refused(
        committed,
        SILENT,
        &[
            "event \"Sold\" version 1: the payload was of shape \"struct\", and its schema does not say any more of which it is",
        ],
    );
    allowed(committed, SAID, &[]);
    refused(
        committed,
        CHANGED,
        &[
            "event \"Sold\" version 1: the field `amount` was `u64`, and is now `u8`",
            "event \"Sold\" version 1: the field `note` is gone",
        ],
    );
    let raised = SchemaUpdate::VersionRaised { event: "Sold".to_owned(), from: 1, to: 2 };
    allowed(committed, RAISED, &[raised]);
    // What was never known may stay so.
    allowed("event Sold\nversion 1\nshape unknown", SILENT, &[]);
}

const SOLD_1: Upcaster = Upcaster::new(1, |payload| Ok(Upcast::Next(payload)));

#[test]
fn a_variant_that_is_not_known_any_more_is_refused() {
    const PAID: &EventSchema = &EventSchema::new("Sold", 1).shape(EventShape::Enum).variants(&[
        EventVariant::new("Cash", EventShape::Unit, &[]),
        EventVariant::new("Card", EventShape::Unknown, &[]),
    ]);
    refused(
        "event Sold\nversion 1\nshape enum\nvariant Card\nshape newtype\nfield 0: u64\nvariant Cash\nshape unit",
        PAID,
        &[
            "event \"Sold\" version 1: the variant `Card` was of shape \"newtype\", and its schema does not say any more of which it is",
        ],
    );
}

#[test]
fn a_type_is_the_same_wherever_it_lies() {
    allowed("event Interest\nversion 1\nshape newtype\nfield 0: NonZeroU32", Interest::SCHEMA, &[]);
}

#[test]
fn variants_may_be_added_but_not_removed() {
    let card = "variant Card\nshape struct\nfield name: Option<String>; optional\nfield number: String";
    allowed(&format!("event Paid\nversion 1\nshape enum\n{card}"), Paid::SCHEMA, &[changed("Paid")]);
    allowed("event Paid\nversion 1\nshape enum\nvariant Coins\nshape unit", Paid::SCHEMA, &[changed("Paid")]);
    refused(
        "event Paid\nversion 1\nshape enum\nvariant Cash\nalias Gold\nshape unit\nvariant Cheque\nshape unit",
        Paid::SCHEMA,
        &[
            "event \"Paid\" version 1: the variant `Gold` is gone",
            "event \"Paid\" version 1: the variant `Cheque` is gone",
        ],
    );
}

#[test]
fn variants_are_compared_like_events() {
    refused(
        "event Paid\nversion 1\nshape enum\nvariant Card\nshape struct\nfield code: u8\nvariant Cash\nshape newtype\nvariant Voucher\nshape tuple\nfield 0: u64\nfield 1: u16",
        Paid::SCHEMA,
        &[
            "event \"Paid\" version 1: the field `code` of the variant `Card` is gone",
            "event \"Paid\" version 1: the field `number` of the variant `Card` is required, and payloads are stored without it",
            "event \"Paid\" version 1: the variant `Cash` was of shape \"newtype\", and is now \"unit\"",
            "event \"Paid\" version 1: the field `1` of the variant `Voucher` was `u16`, and is now `u8`",
        ],
    );
}

#[test]
fn a_raised_version_answers_for_all_changes_and_a_lowered_one_is_refused() {
    let raised = SchemaUpdate::VersionRaised { event: "Opened".to_owned(), from: 2, to: 3 };
    allowed("event Opened\nversion 2\nshape tuple\nfield 0: u8", Opened::SCHEMA, &[raised]);
    refused(
        "event Opened\nversion 4\nalias Created\nalias Registered\nshape struct\nfield accountOwner: String",
        Opened::SCHEMA,
        &["event \"Opened\" was of version 4, and is now of version 3"],
    );
}

#[test]
fn an_event_is_renamed_by_an_alias() {
    let renamed = SchemaUpdate::Renamed { from: "Created".to_owned(), to: "Opened".to_owned() };
    let created =
        |version| format!("event Created\nversion {version}\nshape struct\nfield accountOwner: String");
    allowed(&created(3), Opened::SCHEMA, std::slice::from_ref(&renamed));
    let raised = SchemaUpdate::VersionRaised { event: "Opened".to_owned(), from: 1, to: 3 };
    allowed(&created(1), Opened::SCHEMA, &[renamed, raised]);
    refused(&created(4), Opened::SCHEMA, &["event \"Opened\" was of version 4, and is now of version 3"]);
    refused(
        "event Created\nversion 3\nshape struct\nfield owner: String",
        Opened::SCHEMA,
        &[
            "event \"Opened\" version 3: the field `owner` is gone",
            "event \"Opened\" version 3: the field `accountOwner` is required, and payloads are stored without it",
        ],
    );
}

#[test]
fn names_that_nobody_reads_any_more_are_refused() {
    refused(
        "event Transferred\nversion 1\nshape unit\nevent Closed\nversion 1\nalias Ended\nshape unit",
        Closed::SCHEMA,
        &["event \"Closed\" has lost its alias \"Ended\"", "event \"Transferred\" is gone"],
    );
}

#[test]
fn a_new_event_is_allowed() {
    allowed("", Closed::SCHEMA, &[SchemaUpdate::Added { event: "Closed".to_owned() }]);
}

#[test]
fn each_fault_has_a_cure() {
    let (event, version) = ("Withdrawn".to_owned(), 2);
    let cure = SchemaFault::EventRemoved { event: event.clone() }.cure();
    assert!(cure.contains("#[event(aliases = [\"Withdrawn\"])]"), "{cure}");
    let cure = SchemaFault::VersionLowered { event: event.clone(), from: 2, to: 1 }.cure();
    assert_eq!(cure, "set `version = 2` or more");
    let (place, from) = ("the payload".to_owned(), "struct".to_owned());
    let cure = SchemaFault::ShapeUnknown { event: event.clone(), version, place, from }.cure();
    assert!(cure.contains("EventSchema::new(..).shape(..)"), "{cure}");
    assert!(cure.contains("#[event(version = 3, upcast(2 => function))]"), "{cure}");
    let variant = "Cash".to_owned();
    let cure = SchemaFault::VariantRemoved { event, version, variant }.cure();
    assert!(cure.contains("#[event(version = 3, upcast(2 => function))]"), "{cure}");
    assert!(cure.contains("#[serde(alias = \"..\")]"), "{cure}");
}
