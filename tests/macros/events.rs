//! Events: what their schemas say, and sets of them.

use cqrs::event::{EventSchema, Payload};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Fee {
    cents: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "moved", version = 5, aliases = ["Move", "MOVE"])]
#[event(upcast(
    1 => rename,
    2 => |value| value,
    3 => split -> [Fee, r#Type],
    4 => |_| Err::<Value, _>(cqrs::event::UpcastError::new("no")),
))]
struct Moved {
    to: Vec<Option<String>>,
    r#type: (u8, u8),
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
enum r#Type {
    One,
    Two { of: u8 },
}

fn rename(value: Value) -> Value {
    Value::Array(vec![value])
}

fn split(_: Value) -> Vec<RawEvent> {
    vec![RawEvent::of::<Fee>(json!({ "cents": 5 }))]
}

#[derive(EventSet, Clone, Debug, PartialEq)]
enum All {
    Fee(Fee),
    r#Type(r#Type),
}

#[test]
fn a_schema_says_what_is_written() {
    let EventSchema { name, version, aliases, fields, krate, file, line, .. } = *Moved::SCHEMA;
    assert_eq!((name, version, aliases), ("moved", 5, &["Move", "MOVE"][..]));
    let fields: Vec<_> = fields.iter().map(|field| (field.name, field.ty)).collect();
    assert_eq!(fields, [("to", "Vec<Option<String>>"), ("type", "(u8, u8)")]);
    assert_eq!((krate, file), ("cqrs", file!()));
    assert!(line > 0);
    assert_eq!((Type::SCHEMA.name, Type::SCHEMA.version), ("Type", 1));
}

#[test]
fn upcasters_are_called() {
    let upcasters = Moved::SCHEMA.upcasters;
    let froms: Vec<_> = upcasters.iter().map(|upcaster| upcaster.from).collect();
    assert_eq!(froms, [1, 2, 3, 4]);
    assert_eq!(upcasters[2].produces, ["Fee", "Type"]);
    let next = (upcasters[0].upcast)(json!(1));
    assert_eq!(next, Ok(cqrs::event::Upcast::Next(json!([1]))));
    assert!((upcasters[3].upcast)(json!(1)).is_err());
}

#[test]
fn a_set_decodes_what_is_in_it() {
    let fee = All::from(Fee { cents: 5 });
    let encoded = fee.encode().unwrap();
    assert_eq!(All::decode(Fee::SCHEMA, Payload::Stored(&encoded)).unwrap(), Some(fee.clone()));
    assert_eq!(All::decode(Moved::SCHEMA, Payload::Stored(&encoded)).unwrap(), None);
    assert_eq!(fee.schema().name, "Fee");
    assert_eq!(All::from(Type::Two { of: 1 }).schema().name, "Type");
    assert_eq!(All::schemas().len(), 2);
    assert_eq!(All::Type(Type::One).encode().unwrap(), "\"One\"");
}

#[test]
fn events_are_registered() {
    let registered: Vec<_> =
        inventory::iter::<cqrs::event::EventRegistration>().map(|event| format!("{event:?}")).collect();
    assert!(registered.iter().any(|event| event.contains("\"moved\"")), "{registered:?}");
}
