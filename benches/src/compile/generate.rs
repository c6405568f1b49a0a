//! The source of the two crates.

use std::fmt::Write as _;
use std::path::Path;

use crate::point::Subject;

const AGGREGATES: usize = 10;
const COMMANDS: usize = 10;

pub(super) fn manifest(subject: Subject, facade: &Path) -> String {
    format!(
        r#"[package]
name = "{subject}"
version = "0.0.0"
edition = "2024"

[dependencies]
cqrs = {{ path = {facade:?} }}
serde = {{ version = "1", features = ["derive"] }}
"#
    )
}

pub(super) fn source(subject: Subject) -> String {
    let mut source = String::from("use cqrs::prelude::*;\nuse serde::{Deserialize, Serialize};\n");
    source += match subject {
        Subject::Macros => "#[derive(Router)]\npub struct MainRouter;\n",
        _ => ROUTER_BY_HAND,
    };
    for aggregate in 0..AGGREGATES {
        match subject {
            Subject::Macros => with_macros(&mut source, aggregate),
            _ => by_hand(&mut source, aggregate),
        }
    }
    source
}

const ROUTER_BY_HAND: &str = r#"
pub struct MainRouter;
impl Router for MainRouter {
    const NAME: &'static str = "MainRouter";
    type Includes = ();
}
"#;

/// What both have: types and rules. `markers` are put before them.
fn shared(source: &mut String, a: usize, event_derive: &str, command_derive: &str) {
    for n in 0..COMMANDS {
        write(
            source,
            format_args!(
                r#"
#[derive({event_derive}Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Event{a}x{n} {{ pub id: String, pub amount: u64, pub note: Option<String> }}

#[derive({command_derive}Serialize, Deserialize, Clone, Debug)]
{attribute}
pub struct Command{a}x{n} {{ pub id: String, pub amount: u64, pub note: Option<String> }}
"#,
                attribute = match command_derive {
                    "" => String::new(),
                    _ =>
                        format!("#[command(router = MainRouter, aggregate = Aggregate{a}, identify_by = id)]"),
                }
            ),
        );
    }
    write(
        source,
        format_args!(
            "\n#[derive(Default, Serialize, Deserialize, Clone, Debug)]\npub struct Aggregate{a} {{ pub total: u64 }}\n"
        ),
    );
}

fn rules(source: &mut String, a: usize, execute: &str, apply: &str) {
    for n in 0..COMMANDS {
        write(
            source,
            format_args!(
                r#"
    {execute}
    fn execute{n}(&self, command: &Command{a}x{n}) -> Event{a}x{n} {{
        Event{a}x{n} {{ id: command.id.clone(), amount: command.amount, note: command.note.clone() }}
    }}
    {apply}
    fn apply{n}(&mut self, event: &Event{a}x{n}) {{
        self.total += event.amount;
    }}
"#
            ),
        );
    }
}

fn with_macros(source: &mut String, a: usize) {
    shared(source, a, "Event, ", "Command, ");
    write(source, format_args!("\n#[aggregate(stream_prefix = \"a{a}\")]\nimpl Aggregate{a} {{"));
    rules(source, a, "#[execute]", "#[apply]");
    source.push_str("}\n");
}

/// What the macros make, as a person would write it.
fn by_hand(source: &mut String, a: usize) {
    shared(source, a, "", "");
    write(source, format_args!("\nimpl Aggregate{a} {{"));
    rules(source, a, "", "");
    source.push_str("}\n");
    for n in 0..COMMANDS {
        write(
            source,
            format_args!(
                r#"
impl Event for Event{a}x{n} {{
    const SCHEMA: &'static cqrs::event::EventSchema = &cqrs::event::EventSchema::new("Event{a}x{n}", 1)
        .shape(cqrs::event::EventShape::Struct)
        .fields(const {{ &[
            cqrs::event::EventField::new("id", "String"),
            cqrs::event::EventField::new("amount", "u64"),
            cqrs::event::EventField::new("note", "Option<String>").optional(),
        ] }})
        .krate(env!("CARGO_PKG_NAME"))
        .at(file!(), line!());
}}
cqrs::event::event_set_of_one!(Event{a}x{n});
cqrs::__private::inventory::submit! {{ cqrs::event::EventRegistration::of::<Event{a}x{n}>() }}

impl Command for Command{a}x{n} {{
    type Router = MainRouter;
    type Aggregate = Aggregate{a};
    type Handler = cqrs::command::Direct;
    const NAME: &'static str = "Command{a}x{n}";

    fn identity(&self) -> impl std::fmt::Display {{
        &self.id
    }}
}}
cqrs::__private::inventory::submit! {{
    cqrs::command::CommandRegistration::of::<Command{a}x{n}>(|| None, file!(), line!())
}}

impl From<Event{a}x{n}> for Events{a} {{
    fn from(event: Event{a}x{n}) -> Self {{
        Self::E{n}(event)
    }}
}}

impl cqrs::aggregate::IntoEvents<Aggregate{a}> for Event{a}x{n} {{
    fn emit_into(self, emitter: &mut Emitter<'_, Aggregate{a}>) -> Result<(), std::convert::Infallible> {{
        emitter.emit(self);
        Ok(())
    }}
}}

impl cqrs::aggregate::Execute<Command{a}x{n}> for Aggregate{a} {{
    fn execute(
        &self,
        command: &Command{a}x{n},
        emitter: &mut Emitter<'_, Self>,
        _context: &CommandContext,
    ) -> Result<(), Self::Error> {{
        emitter.emit(self.execute{n}(command));
        Ok(())
    }}
}}
"#
            ),
        );
    }
    let each = |line: &dyn Fn(usize) -> String| (0..COMMANDS).map(line).collect::<String>();
    let variants = each(&|n| format!("    E{n}(Event{a}x{n}),\n"));
    let schemas = each(&|n| format!("Event{a}x{n}::SCHEMA, "));
    let schema_arms = each(&|n| format!("            Self::E{n}(_) => Event{a}x{n}::SCHEMA,\n"));
    let decode_arms = each(&|n| {
        format!(
            "        if schema.name == Event{a}x{n}::SCHEMA.name {{ return payload.decode().map(|event| Some(Self::E{n}(event))); }}\n"
        )
    });
    let encode_arms =
        each(&|n| format!("            Self::E{n}(event) => cqrs::__private::encode(event),\n"));
    let apply_arms = each(&|n| format!("            Events{a}::E{n}(event) => self.apply{n}(event),\n"));
    write(
        source,
        format_args!(
            r#"
#[derive(Clone, Debug, PartialEq)]
pub enum Events{a} {{
{variants}}}

impl EventSet for Events{a} {{
    fn schemas() -> Vec<&'static cqrs::event::EventSchema> {{
        vec![{schemas}]
    }}

    fn schema(&self) -> &'static cqrs::event::EventSchema {{
        match self {{
{schema_arms}        }}
    }}

    fn decode(
        schema: &cqrs::event::EventSchema,
        payload: cqrs::event::Payload<'_>,
    ) -> Result<Option<Self>, cqrs::__private::serde_json::Error> {{
{decode_arms}        Ok(None)
    }}

    fn encode(&self) -> Result<cqrs::__private::Bytes, cqrs::__private::serde_json::Error> {{
        match self {{
{encode_arms}        }}
    }}
}}

impl Aggregate for Aggregate{a} {{
    type Event = Events{a};
    type Error = std::convert::Infallible;
    const NAME: &'static str = "Aggregate{a}";
    const STREAM_PREFIX: &'static str = "a{a}";

    fn apply(&mut self, event: &Events{a}) {{
        match event {{
{apply_arms}        }}
    }}
}}
"#
        ),
    );
}

fn write(source: &mut String, text: std::fmt::Arguments<'_>) {
    source.write_fmt(text).expect("a string takes all text");
}
