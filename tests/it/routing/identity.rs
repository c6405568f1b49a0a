use cqrs::command::InvalidIdentity;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use cqrs::store::InvalidStreamId;
use cqrs::{Command, MemoryStore};
use uuid::Uuid;

use super::domain::{
    ByChar, ByClosure, ByDisplay, ByExpression, ByField, ByFunction, ByNumber, ByUuid, OptionsInAnyOrder,
    Passport, PassportRouter, Passports, PrefixByFunction, PrefixByText, Sign, Visa, number,
};
use crate::support::log::{events_of, sound_log, stream};

async fn passports(store: MemoryStore) -> Passports {
    Passports::builder(store).start().await.unwrap()
}

/// The command's event must be in this stream, and nowhere else.
async fn check(command: impl Command<Router = PassportRouter, Aggregate = Passport>, stream_id: &str) {
    let store = MemoryStore::new();
    let passports = passports(store.clone()).await;
    let dispatched = passports.dispatch(command).await.unwrap();
    assert_eq!(dispatched.stream_id().as_str(), stream_id);
    assert_eq!(events_of(&store, stream_id).await.len(), 1);
    assert_eq!(sound_log(&store).await.len(), 1);
    passports.shutdown().await;
}

#[tokio::test]
async fn t_155_the_stream_is_the_prefix_and_the_identity() {
    check(ByField { id: "a-1".into() }, "passport-a-1").await;
}

#[tokio::test]
async fn t_043_numbers_and_other_values_become_text() {
    check(ByNumber { id: -3 }, "passport--3").await;
    check(ByChar { id: 'x' }, "passport-x").await;
    let id = Uuid::nil();
    check(ByUuid { id }, "passport-00000000-0000-0000-0000-000000000000").await;
}

#[tokio::test]
async fn t_038_a_struct_with_a_display_is_an_identity() {
    check(ByDisplay { number: number() }, "passport-NL.7").await;
}

// T-026, T-029
#[tokio::test]
async fn t_029_an_expression_and_a_function_are_identities() {
    check(ByExpression { number: number() }, "passport-NL").await;
    let country = || "NL".to_owned();
    check(ByFunction { country: country(), number: 7 }, "passport-NL-7").await;
    check(ByClosure { country: country(), number: 7 }, "passport-NL/7").await;
}

// T-027, T-041, L-010: what the command says goes before what its aggregate says.
#[tokio::test]
async fn t_027_a_prefix_of_the_commands_own() {
    check(PrefixByText { id: "1".into() }, "visa-1").await;
}

#[tokio::test]
async fn t_028_a_prefix_by_function() {
    check(PrefixByFunction { id: "1".into() }, "passport2000-1").await;
}

#[tokio::test]
async fn t_021_options_stand_in_any_order() {
    check(OptionsInAnyOrder { id: "1".into() }, "passport-1").await;
    assert_eq!(OptionsInAnyOrder::NAME, "Shuffled");
}

// T-042, N-007, DEF-006
#[tokio::test]
async fn t_042_two_aggregate_types_with_one_identity_share_nothing() {
    let store = MemoryStore::new();
    let passports = passports(store.clone()).await;
    for version in 1..=2 {
        let stamped = passports.dispatch(ByField { id: "1".into() }).await.unwrap();
        let signed = passports.dispatch(Sign("1".into())).await.unwrap();
        assert_eq!((stamped.version(), signed.version()), (version, version));
        assert_eq!(signed.stream_id().as_str(), "Visa-1");
    }
    assert_eq!(passports.aggregate_state::<Passport>("1").await.unwrap().state.stamps.len(), 2);
    assert_eq!(passports.aggregate_state::<Visa>("1").await.unwrap().state.signatures, 2);
    assert_eq!(sound_log(&store).await.len(), 4);
    passports.shutdown().await;
}

// The state of an aggregate whose commands have a prefix of their own.
#[tokio::test]
async fn the_state_behind_another_prefix_is_found_by_its_stream() {
    let passports = passports(MemoryStore::new()).await;
    passports.dispatch(PrefixByText { id: "1".into() }).await.unwrap();
    let state = passports.aggregate_state_of::<Passport>(stream("visa-1")).await.unwrap();
    assert_eq!((state.version, state.state.stamps.len()), (1, 1));
    assert_eq!(passports.aggregate_state::<Passport>("1").await.unwrap().version, 0);
    passports.shutdown().await;
}

/// The identity must be refused, and nothing be stored.
async fn refused(id: String) -> InvalidIdentity {
    let store = MemoryStore::new();
    let passports = passports(store.clone()).await;
    let error = passports.dispatch(ByField { id }).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Invalid);
    assert!(sound_log(&store).await.is_empty());
    assert!(passports.live_aggregates().is_empty());
    passports.shutdown().await;
    match error {
        DispatchError::InvalidIdentity { command: "ByField", source, .. } => source,
        other => panic!("{other:?}"),
    }
}

// T-023, T-024, E-004
#[tokio::test]
async fn t_024_an_empty_identity_is_refused() {
    assert_eq!(refused(String::new()).await, InvalidIdentity::Empty);
}

#[tokio::test]
async fn an_identity_that_cannot_name_a_stream_is_refused() {
    let long = refused("x".repeat(300)).await;
    assert!(matches!(long, InvalidIdentity::StreamId(InvalidStreamId::TooLong { length: 309 })), "{long:?}");
    let control = refused("a\0b".to_owned()).await;
    assert!(
        matches!(control, InvalidIdentity::StreamId(InvalidStreamId::ControlCharacter { at: 10, .. })),
        "{control:?}"
    );
}

// L-032: there is a separator between prefix and identity.
#[tokio::test]
async fn a_longest_identity_fits_and_no_two_collide() {
    let longest = "x".repeat(255 - "passport-".len());
    check(ByField { id: longest.clone() }, &format!("passport-{longest}")).await;
    check(ByField { id: "2000-1".into() }, "passport-2000-1").await;
}
