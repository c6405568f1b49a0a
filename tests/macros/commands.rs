//! Commands: their identity, prefix, validation and defaults.

use std::borrow::Cow;
use std::time::Duration;

use cqrs::dispatch::DispatchDefaults;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Default)]
struct Layer;

impl Middleware for Layer {}

/// A layer without a `Default`.
struct Given(#[expect(dead_code, reason = "only there to be given")] u8);

impl Middleware for Given {}

#[derive(Router)]
#[router(name = "inner", timeout = never, consistency_timeout = Duration::from_secs(1))]
struct Inner;

#[derive(Router)]
#[router(middleware = [Layer, Given], includes = [Inner], consistency = ["a", "b"], retry_attempts = 3)]
struct Outer;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "ThingDone")]
struct Done;

#[derive(Default, Clone)]
struct Thing;

#[aggregate(stream_prefix = "thing")]
impl Thing {
    #[apply]
    fn done(&mut self, _: &Done) {}
}

/// Decides on all commands here.
#[derive(Default)]
struct Decider;

macro_rules! decided {
    ($($method:ident($command:ident)),+) => {$(
        #[command_handler(aggregate = Thing)]
        impl Decider {
            #[execute]
            fn $method(&self, _: &Thing, _: &$command) -> Done {
                Done
            }
        }
    )+};
}

#[derive(Clone, Serialize, Deserialize)]
struct Id {
    text: String,
}

impl Id {
    fn show(&self) -> &str {
        &self.text
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = Outer, aggregate = Thing, identify_by = self.id.show(), handler = Decider)]
struct ByExpression {
    id: Id,
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = Outer, aggregate = Thing, identify_by = self.0 + 1, handler = Decider)]
struct BySum(u64);

#[derive(Command, Serialize, Deserialize)]
#[command(router = Outer, aggregate = Thing, identify_by = 1, handler = Decider)]
struct ByIndex(u8, u64);

#[derive(Command, Serialize, Deserialize)]
#[command(router = Outer, aggregate = Thing, identify_by = Self::id, handler = Decider)]
enum ByMethod {
    Open { id: u64 },
    Close(u64),
}

impl ByMethod {
    fn id(&self) -> u64 {
        match self {
            Self::Open { id } | Self::Close(id) => *id,
        }
    }
}

#[derive(Command, Serialize, Deserialize)]
#[command(
    router = Inner,
    aggregate = Thing,
    identify_by = |command| &command.r#type,
    prefix = "other",
    handler = Decider,
    name = "by-closure",
    validate = not_empty,
    timeout = "500ms",
    consistency = strong,
    consistency_timeout = "2m",
    retry_attempts = ATTEMPTS + 1
)]
struct ByClosure {
    r#type: String,
}

const ATTEMPTS: u32 = 4;

fn not_empty(command: &ByClosure) -> Result<(), ValidationErrors> {
    ValidationErrors::new().check(!command.r#type.is_empty(), "type", "must not be empty").into_result()
}

#[derive(Command, Serialize, Deserialize)]
#[command(router = Inner, aggregate = Thing, identify_by = r#type, prefix = prefix, handler = Decider, validate)]
#[command(timeout = Duration::from_secs(9), consistency = eventual)]
struct ByRawField {
    r#type: u8,
}

impl ByRawField {
    fn validate(&self) -> Result<(), ValidationErrors> {
        ValidationErrors::new().check(self.r#type > 0, "type", "must be positive").into_result()
    }
}

fn prefix() -> String {
    "computed".to_owned()
}

decided!(a(ByExpression), b(BySum), c(ByIndex), d(ByMethod), e(ByClosure), f(ByRawField));

fn id(command: &impl Command) -> String {
    command.identity().to_string()
}

#[test]
fn t_029_t_038_the_identity_comes_from_where_the_command_says() {
    assert_eq!(id(&ByExpression { id: Id { text: "a".to_owned() } }), "a");
    assert_eq!(id(&BySum(1)), "2");
    assert_eq!(id(&ByIndex(1, 2)), "2");
    assert_eq!(id(&ByMethod::Open { id: 3 }), "3");
    assert_eq!(id(&ByMethod::Close(4)), "4");
    assert_eq!(id(&ByClosure { r#type: "b".to_owned() }), "b");
    assert_eq!(id(&ByRawField { r#type: 5 }), "5");
}

#[test]
fn t_027_t_028_the_prefix_is_the_aggregates_a_text_or_a_function() {
    assert_eq!(BySum::stream_prefix(), "thing");
    assert!(matches!(ByClosure::stream_prefix(), Cow::Borrowed("other")));
    assert_eq!(ByRawField::stream_prefix(), "computed");
}

#[test]
fn validation_is_a_method_or_a_function() {
    assert_eq!(Command::validate(&BySum(1)), Ok(()));
    assert!(Command::validate(&ByClosure { r#type: String::new() }).is_err());
    assert!(Command::validate(&ByRawField { r#type: 0 }).is_err());
    assert!(Command::validate(&ByRawField { r#type: 1 }).is_ok());
}

#[test]
fn options_become_defaults() {
    let by_closure = DispatchDefaults::new()
        .timeout(Duration::from_millis(500))
        .consistency(Strong)
        .consistency_timeout(Duration::from_mins(2))
        .retry_attempts(5);
    assert_eq!(ByClosure::defaults(), by_closure);
    let by_raw_field = DispatchDefaults::new().timeout(Duration::from_secs(9)).consistency(Eventual);
    assert_eq!(ByRawField::defaults(), by_raw_field);
    assert_eq!(BySum::defaults(), DispatchDefaults::new());
}

#[test]
fn names_and_routers() {
    assert_eq!((ByClosure::NAME, Inner::NAME), ("by-closure", "inner"));
    let outer = format!("{:?}", Outer::definition());
    assert!(outer.contains("Layer") && outer.contains("Given"), "{outer}");
    assert!(outer.contains("inner"), "{outer}");
}

application! {
    /// Carries what its routers carry, and what those include.
    #[must_use]
    struct Things {
        name: "things",
        routers: [Outer],
        middleware: [Layer],
        timeout: "1h",
        consistency: eventual,
    }
}

#[tokio::test]
async fn t_054_commands_of_included_routers_are_carried() {
    let things = Things::builder(MemoryStore::new()).middleware(Given(1)).start().await.unwrap();
    assert_eq!(things.name(), "things");
    let receipt = things.dispatch(ByRawField { r#type: 7 }).await.unwrap();
    assert_eq!(receipt.stream_id().as_str(), "computed-7");
    assert_eq!(receipt.events(), [Done.into()]);
    let receipt = things.dispatch(ByMethod::Close(7)).consistency(Eventual).await.unwrap();
    assert_eq!(receipt.stream_id().as_str(), "thing-7");
    things.shutdown().await;
}
