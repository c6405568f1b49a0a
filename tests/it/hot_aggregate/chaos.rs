//! Whatever the store does to chains: what is told is true.

use std::collections::HashMap;

use cqrs::MemoryStore;
use cqrs::id::CorrelationId;
use proptest::prelude::*;
use tokio::task::JoinSet;

use crate::support::log::{append_to, sound_log};
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{Tallies, add_each, added, look, take, tallies};

/// What happens at one call.
#[derive(Clone, Copy, Debug)]
enum Chance {
    Overtaken,
    LoseOutcome,
    LoseAppend,
    Delay,
    Land,
    Fail,
    TooLarge,
    Panic,
}

#[derive(Clone, Debug)]
enum Sent {
    Add(Vec<u64>),
    Take(u64),
    Look,
}

#[derive(Clone, Debug)]
struct Planned {
    sent: Sent,
    is_keyed: bool,
    expected: Option<u64>,
    /// How often others go first.
    pause: u8,
}

fn chances() -> impl Strategy<Value = Vec<Option<Chance>>> {
    use Chance::{Delay, Fail, Land, LoseAppend, LoseOutcome, Overtaken, Panic, TooLarge};
    let chance =
        prop::sample::select(vec![Overtaken, LoseOutcome, LoseAppend, Delay, Land, Fail, TooLarge, Panic]);
    prop::collection::vec(prop::option::of(chance), 0..30)
}

fn planned() -> impl Strategy<Value = Planned> {
    let sent = prop_oneof![
        6 => prop::collection::vec(1..10_u64, 1..4).prop_map(Sent::Add),
        4 => (1..20_u64).prop_map(Sent::Take),
        1 => Just(Sent::Look),
    ];
    let expected = prop::option::weighted(0.1, 0..20_u64);
    (sent, prop::bool::weighted(0.1), expected, 0..4_u8)
        .prop_map(|(sent, is_keyed, expected, pause)| Planned { sent, is_keyed, expected, pause })
}

fn act(chance: Option<Chance>) -> Act {
    match chance {
        None => Act::Pass,
        Some(Chance::Overtaken) => Act::After(append_to("tally-1", vec![added(1)])),
        Some(Chance::LoseOutcome) => Act::LoseOutcome,
        Some(Chance::LoseAppend) => Act::LoseAppend,
        Some(Chance::Delay) => Act::Delay,
        Some(Chance::Land) => Act::Land,
        Some(Chance::Fail) => Act::Fail,
        Some(Chance::TooLarge) => Act::TooLarge,
        Some(Chance::Panic) => Act::Panic,
    }
}

/// What a caller was told.
#[derive(Debug)]
enum Told {
    /// Version, number of events and total of the state.
    Done(u64, usize, u64),
    Nothing,
    Unknown,
}

async fn send(tallies: Tallies, planned: Planned, correlation_id: CorrelationId) -> Told {
    for _ in 0..planned.pause {
        tokio::task::yield_now().await;
    }
    macro_rules! answer {
        ($command:expr) => {{
            let mut dispatch = tallies.dispatch($command).correlation_id(correlation_id).retry_attempts(100);
            if planned.is_keyed {
                dispatch = dispatch.idempotency_key(correlation_id.to_string());
            }
            if let Some(version) = planned.expected {
                dispatch = dispatch.expected_version(version);
            }
            dispatch.await
        }};
    }
    let answer = match planned.sent {
        Sent::Add(amounts) => answer!(add_each("1", &amounts)),
        Sent::Take(amount) => answer!(take("1", amount)),
        Sent::Look => answer!(look("1")),
    };
    match answer {
        Ok(answer) => Told::Done(answer.version(), answer.events().len(), answer.state().total),
        Err(error) if error.is_outcome_unknown() => Told::Unknown,
        Err(error) => {
            assert!(!error.is_committed(), "{error:?}");
            Told::Nothing
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// G2, G3, G8, D2: what was accepted is in the log, once and whole, at the version that was told; what was
    /// refused is not; and no decision was ever based on what is not stored.
    #[test]
    fn what_is_told_is_true(commands in prop::collection::vec(planned(), 1..40), chances in chances()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let store = ScriptedStore::slow(MemoryStore::new());
            let tallies = tallies(store.clone()).await;
            store.then(chances.into_iter().map(act));
            let mut callers = JoinSet::new();
            for planned in commands {
                let tallies = tallies.clone();
                let correlation_id = CorrelationId::new();
                callers.spawn(async move { (correlation_id, send(tallies, planned, correlation_id).await) });
            }
            let told: HashMap<_, _> = callers.join_all().await.into_iter().collect();
            tallies.shutdown().await;
            store.land().await;

            let mut totals = vec![0_u64];
            let mut stored: HashMap<CorrelationId, Vec<u64>> = HashMap::new();
            for event in sound_log(&store).await {
                let data: serde_json::Value = serde_json::from_slice(&event.data).unwrap();
                let (amount, before) = (data["amount"].as_u64().unwrap(), totals[totals.len() - 1]);
                totals.push(match &*event.event_type {
                    "tally.Added" => before + amount,
                    _ => before.checked_sub(amount).expect("nobody takes what is not there"),
                });
                stored.entry(event.correlation_id).or_default().push(event.stream_version);
            }
            for (correlation_id, told) in told {
                let versions = stored.remove(&correlation_id).unwrap_or_default();
                match told {
                    Told::Done(version, events, total) => {
                        let expected: Vec<u64> = (version + 1 - events as u64..=version).collect();
                        prop_assert_eq!(versions, expected);
                        prop_assert_eq!(total, totals[usize::try_from(version).unwrap()]);
                    }
                    Told::Nothing => prop_assert!(versions.is_empty(), "told that nothing is stored"),
                    Told::Unknown => {}
                }
            }
            Ok(())
        })?;
    }
}
