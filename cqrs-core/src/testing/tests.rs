//! The scenario kit fails loudly: each way in which a scenario can be wrong, and the ways in which it is
//! right.

#![expect(clippy::allow_attributes, reason = "it stands in a macro, which lints as ours only in this crate")]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::{Aggregate, Emitter, Events, Execute, IntoEvents};
use crate::command::{Command, CommandContext, CommandHandler, Direct, ValidationErrors};
use crate::event::{Event, EventSchema, EventSet, Payload, event_set_of_one};
use crate::panics;
use crate::router::Router;
use crate::testing::{given, given_nothing, given_state};

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Opened;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Moved {
    by: i64,
}

impl Event for Opened {
    const SCHEMA: &'static EventSchema = &EventSchema::new("Opened", 1);
}
event_set_of_one!(Opened);

impl Event for Moved {
    const SCHEMA: &'static EventSchema = &EventSchema::new("Moved", 1);
}
event_set_of_one!(Moved);

#[derive(Clone, Debug, PartialEq)]
enum AccountEvent {
    Opened(Opened),
    Moved(Moved),
}

impl From<Opened> for AccountEvent {
    fn from(event: Opened) -> Self {
        Self::Opened(event)
    }
}

impl From<Moved> for AccountEvent {
    fn from(event: Moved) -> Self {
        Self::Moved(event)
    }
}

impl EventSet for AccountEvent {
    fn schemas() -> Vec<&'static EventSchema> {
        vec![Opened::SCHEMA, Moved::SCHEMA]
    }

    fn schema(&self) -> &'static EventSchema {
        match self {
            Self::Opened(_) => Opened::SCHEMA,
            Self::Moved(_) => Moved::SCHEMA,
        }
    }

    fn decode(schema: &EventSchema, payload: Payload<'_>) -> Result<Option<Self>, serde_json::Error> {
        match schema.name {
            "Opened" => payload.decode().map(|event| Some(Self::Opened(event))),
            "Moved" => payload.decode().map(|event| Some(Self::Moved(event))),
            _ => Ok(None),
        }
    }

    fn encode(&self) -> Result<Bytes, serde_json::Error> {
        match self {
            Self::Opened(event) => event.encode(),
            Self::Moved(event) => event.encode(),
        }
    }
}

impl IntoEvents<Account> for Opened {
    fn emit_into(self, emitter: &mut Emitter<'_, Account>) -> Result<(), Refused> {
        emitter.emit(self);
        Ok(())
    }
}

impl IntoEvents<Account> for Moved {
    fn emit_into(self, emitter: &mut Emitter<'_, Account>) -> Result<(), Refused> {
        emitter.emit(self);
        Ok(())
    }
}

#[derive(Default, Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Account {
    open: bool,
    balance: i64,
}

#[derive(Debug, PartialEq)]
enum Refused {
    Overdrawn { balance: i64 },
    Frozen,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overdrawn { balance } => write!(formatter, "only {balance} left"),
            Self::Frozen => formatter.write_str("frozen"),
        }
    }
}

impl std::error::Error for Refused {}

impl Aggregate for Account {
    type Event = AccountEvent;
    type Error = Refused;
    const NAME: &'static str = "Account";
    const STREAM_PREFIX: &'static str = "account";

    fn apply(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::Opened(_) => self.open = true,
            AccountEvent::Moved(Moved { by }) => self.balance += by,
        }
    }

    fn before_execute(&self, context: &CommandContext) -> Result<(), Refused> {
        match context.metadata.get("frozen") {
            Some(_) => Err(Refused::Frozen),
            None => Ok(()),
        }
    }
}

struct BankRouter;

impl Router for BankRouter {
    const NAME: &'static str = "BankRouter";
    type Includes = ();
}

/// Moves the balance by each of the amounts, in one command.
#[derive(Serialize, Deserialize, Clone)]
struct Move {
    account: String,
    by: Vec<i64>,
}

fn moving(by: impl Into<Vec<i64>>) -> Move {
    let account = "a-1".to_owned();
    Move { account, by: by.into() }
}

fn moved(by: i64) -> Moved {
    Moved { by }
}

impl Command for Move {
    type Router = BankRouter;
    type Aggregate = Account;
    type Handler = Direct;
    const NAME: &'static str = "Move";

    fn identity(&self) -> impl fmt::Display {
        &self.account
    }

    fn validate(&self) -> Result<(), ValidationErrors> {
        ValidationErrors::new()
            .check(!self.by.contains(&0), "by", "must not be zero")
            .check(self.account != "?", "account", "must be known")
            .into_result()
    }
}

crate::register_command!(Move);

impl Execute<Move> for Account {
    fn execute(
        &self,
        command: &Move,
        emitter: &mut Emitter<'_, Self>,
        _: &CommandContext,
    ) -> Result<(), Refused> {
        for by in &command.by {
            emitter.step(|account| {
                let balance = account.balance;
                match balance + by {
                    ..0 => Err(Refused::Overdrawn { balance }),
                    _ => Ok(moved(*by)),
                }
            })?;
        }
        Ok(())
    }
}

/// Gives the hour, and panics on request.
#[derive(Serialize, Deserialize)]
struct Chime(bool);

impl Command for Chime {
    type Router = BankRouter;
    type Aggregate = Account;
    type Handler = Direct;
    const NAME: &'static str = "Chime";

    fn identity(&self) -> impl fmt::Display {
        "a-1"
    }
}

crate::register_command!(Chime);

impl Execute<Chime> for Account {
    fn execute(
        &self,
        command: &Chime,
        emitter: &mut Emitter<'_, Self>,
        context: &CommandContext,
    ) -> Result<(), Refused> {
        assert!(!command.0, "the bell is broken");
        emitter.emit(moved(context.now.timestamp()));
        emitter.emit(moved(i64::try_from(context.version).unwrap()));
        Ok(())
    }
}

/// The message with which `scenario` fails.
#[track_caller]
fn failure<T>(scenario: impl FnOnce() -> T) -> String {
    match panics::catch(|| drop(scenario())) {
        Ok(()) => panic!("the scenario did not fail"),
        Err(message) => message,
    }
}

#[track_caller]
fn check_fails<T>(scenario: impl FnOnce() -> T, parts: &[&str]) {
    let message = failure(scenario);
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

#[test]
fn kit_001_the_state_threads_from_step_to_step() {
    given::<Account>((Opened, moved(100)))
        .then_state(|account| assert!(account.open))
        .when(moving([-70]))
        .then_events([moved(-70)])
        .then_state(|account| assert_eq!(account.balance, 30))
        .when(moving([-10, -20]))
        .then_events([moved(-10), moved(-20)])
        .when(moving([]))
        .then_no_events()
        .when(moving([-1]))
        .then_error(Refused::Overdrawn { balance: 0 });
}

#[test]
fn kit_002_a_refused_step_leaves_the_state_unchanged() {
    let after = given::<Account>([moved(50)])
        .when(moving([-30, -30]))
        .then_error(Refused::Overdrawn { balance: 20 })
        .then_state(|account| assert_eq!(account.balance, 50))
        .when(moving([0]))
        .then_invalid(["by"])
        .when(moving([-50]))
        .then_events([moved(-50)]);
    assert_eq!(after.state().balance, 0);
}

#[test]
fn kit_003_another_event_fails() {
    check_fails(
        || given_nothing::<Account>().when(moving([1])).then_events([moved(2)]),
        &["Move emitted other events", "by: 1", "by: 2", "differ from event 1"],
    );
}

#[test]
fn kit_003_an_extra_event_fails() {
    check_fails(
        || given_nothing::<Account>().when(moving([1, 2])).then_events([moved(1)]),
        &["expected 1 event:", "emitted 2 events:", "differ from event 2"],
    );
    check_fails(
        || given_nothing::<Account>().when(moving([1])).then_no_events(),
        &["expected no event", "emitted 1 event:"],
    );
}

#[test]
fn kit_003_a_missing_event_fails() {
    check_fails(
        || given_nothing::<Account>().when(moving([1])).then_events((moved(1), Opened)),
        &["expected 2 events:", "emitted 1 event:", "differ from event 2"],
    );
}

#[test]
fn kit_003_an_unexpected_rejection_fails() {
    let rejected = || given_nothing::<Account>().when(moving([-1]));
    check_fails(
        || rejected().then_events([moved(-1)]),
        &["Move was rejected: only 0 left (Overdrawn { balance: 0 })", "by: -1"],
    );
    check_fails(|| rejected().then_no_events(), &["was rejected", "no event"]);
    check_fails(|| rejected().then_state(|_| ()), &["was rejected", "carried out"]);
    check_fails(|| rejected().then_invalid(["by"]), &["was rejected", "invalid in"]);
}

#[test]
fn kit_003_the_wrong_reason_fails() {
    let rejected = || given_nothing::<Account>().when(moving([-1]));
    check_fails(|| rejected().then_error(Refused::Frozen), &["was rejected: only 0 left", "Frozen"]);
    check_fails(
        || rejected().then_error_matches(|error| *error == Refused::Frozen),
        &["was rejected: only 0 left", "that matches"],
    );
    check_fails(
        || given_nothing::<Account>().when(moving([1])).then_error(Refused::Frozen),
        &["Move emitted 1 event:", "Frozen"],
    );
}

#[test]
fn kit_003_a_wrong_state_fails() {
    check_fails(
        || {
            let scenario = given_nothing::<Account>().when(moving([1]));
            scenario.then_state(|account| assert_eq!(account.balance, 2, "the balance"))
        },
        &["the balance"],
    );
}

#[test]
fn kit_003_invalid_fields_are_compared() {
    let invalid = || {
        let account = "?".to_owned();
        given_nothing::<Account>().when(Move { account, by: vec![0, 0] })
    };
    invalid().then_invalid(["by", "account"]);
    check_fails(
        || invalid().then_invalid(["by"]),
        &["Move is not valid: by must not be zero; account must be known", "invalid in [\"by\"]"],
    );
    check_fails(|| invalid().then_events([moved(0)]), &["is not valid"]);
    check_fails(|| invalid().then_error(Refused::Frozen), &["is not valid"]);
}

#[test]
fn kit_004_a_command_without_an_assertion_fails() {
    check_fails(
        || given_nothing::<Account>().when(moving([1])),
        &["nothing was asserted of Move", "tests.rs", ".then_events"],
    );
}

/// A second command behind an unchecked one does not compile, see [`given`].
#[test]
fn kit_004_an_unchecked_command_in_a_sequence_fails() {
    check_fails(
        || {
            let given = given_nothing::<Account>();
            let _unchecked = given.clone().when(moving([1]));
            given.when(moving([1])).then_events([moved(1)]);
        },
        &["nothing was asserted of Move"],
    );
}

#[test]
fn kit_004_a_test_that_fails_anyway_panics_once() {
    check_fails(
        || {
            let _unchecked = given_nothing::<Account>().when(moving([1]));
            panic!("for another reason");
        },
        &["for another reason"],
    );
}

#[test]
fn kit_006_all_forms_of_a_scenario_are_equivalent() {
    let events = Events::<Account>::new().with(Opened).with(moved(7));
    for given in [
        given::<Account>((Opened, moved(7))),
        given(events.clone()),
        given(vec![AccountEvent::from(Opened), moved(7).into()]),
        given::<Account>([Opened]).when(moving([7])).then_events([moved(7)]),
    ] {
        let expected = Account { open: true, balance: 7 };
        assert_eq!(*given.state(), expected);
        given.when(moving([-7, 3])).then_events((moved(-7), moved(3)));
    }
}

#[test]
fn kit_006_a_table_of_steps() {
    let steps = [(10, vec![moved(10)]), (-3, vec![moved(-3)]), (5, vec![moved(5)])];
    let end = steps.into_iter().fold(given_nothing::<Account>(), |scenario, (by, events)| {
        scenario.when(moving([by])).then_events(events)
    });
    assert_eq!(end.state().balance, 12);
}

#[test]
fn t_200_no_one_or_several_historical_events() {
    given::<Account>(()).when(moving([1])).then_events([moved(1)]);
    given::<Account>([moved(5)]).when(moving([-5])).then_events([moved(-5)]);
    given::<Account>(vec![moved(5), moved(6)]).when(moving([-11])).then_events(vec![moved(-11)]);
    // A decision of several steps, which sees in each what the earlier ones did.
    given::<Account>([moved(5)]).when(moving([-5, 8, -8])).then_events((moved(-5), moved(8), moved(-8)));
}

#[test]
fn e_028_a_restored_state_is_the_state() {
    let state = given::<Account>((Opened, moved(12))).state().clone();
    let restored: Account = serde_json::from_slice(&serde_json::to_vec(&state).unwrap()).unwrap();
    given_state(restored)
        .then_state(|restored| assert_eq!(*restored, state))
        .when(moving([-12]))
        .then_events([moved(-12)]);
}

#[test]
fn e_029_events_fold_into_the_state() {
    given::<Account>([moved(10), moved(-3), moved(5)]).then_state(|account| assert_eq!(account.balance, 12));
}

#[test]
fn the_context_is_as_the_scenario_says() {
    let noon: DateTime<Utc> = "2026-02-03T12:00:00Z".parse().unwrap();
    let midnight_of_2000 = 946_684_800;
    given::<Account>([moved(1)])
        .when(Chime(false))
        .then_events([moved(midnight_of_2000), moved(1)])
        .at(noon)
        .when(Chime(false))
        .then_events([moved(noon.timestamp()), moved(3)])
        .version(40)
        .when(Chime(false))
        .then_events([moved(noon.timestamp()), moved(40)])
        .metadata("frozen", true)
        .when(Chime(false))
        .then_error(Refused::Frozen);
}

#[test]
fn panics_of_user_code_are_passed_on() {
    check_fails(|| given_nothing::<Account>().when(Chime(true)).then_no_events(), &["the bell is broken"]);
}

#[test]
fn a_command_for_another_aggregate_fails() {
    let of = |account: &str| Move { account: account.to_owned(), by: vec![1] };
    check_fails(
        || {
            let scenario = given_nothing::<Account>().when(of("a-1")).then_events([moved(1)]);
            scenario.when(of("a-2")).then_events([moved(1)])
        },
        &["Move is for account-a-2", "about account-a-1"],
    );
    check_fails(
        || given_nothing::<Account>().when(of("")).then_events([moved(1)]),
        &["Move does not identify an aggregate", "empty"],
    );
}

/// A handler that knows a rate.
struct Rates {
    rate: i64,
}

impl CommandHandler<Move> for Rates {
    async fn handle(
        &self,
        state: &Account,
        command: &Move,
        emitter: &mut Emitter<'_, Account>,
        _: &CommandContext,
    ) -> Result<(), Refused> {
        tokio::task::yield_now().await;
        for by in &command.by {
            emitter.emit(moved(by * self.rate));
        }
        match state.balance {
            0 => Ok(()),
            _ => Err(Refused::Frozen),
        }
    }
}

#[tokio::test]
async fn command_handlers_decide_in_the_aggregates_stead() {
    let rates = Rates { rate: 3 };
    given_nothing::<Account>()
        .when_handled_by(&rates, moving([2]))
        .await
        .then_events([moved(6)])
        .when_handled_by(&rates, moving([0]))
        .await
        .then_invalid(["by"])
        .when_handled_by(&rates, moving([2]))
        .await
        .then_error(Refused::Frozen)
        .then_state(|account| assert_eq!(account.balance, 6));
    let unchecked = given_nothing::<Account>().when_handled_by(&rates, moving([2])).await;
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(unchecked)));
    assert!(dropped.is_err());
}
