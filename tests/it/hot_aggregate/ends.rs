//! What ends a chain: those before are stored, then the command is carried out as it always was.

use std::future::IntoFuture;

use cqrs::application::Config;
use cqrs::prelude::*;

use super::queue::{Answer, Busy};
use crate::support::gate::Gate;
use crate::support::log::{append_to, sound_log};
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{Held, Tallies, TooLittle, add, add_each, add_held, added, explode, look, take};

/// Two that add 1, the command, two that add 1; gives its answer, when the others were told what they should be.
async fn in_the_middle<D>(busy: &mut Busy, dispatch: D, others: [u64; 4]) -> Answer
where
    D: IntoFuture<Output = Answer, IntoFuture: Send + 'static>,
{
    busy.send_adds(2).await;
    busy.send(dispatch);
    busy.send(busy.tallies.dispatch(add("1", 1)));
    busy.send(busy.tallies.dispatch(add("1", 1)));
    busy.queued(5).await;
    let mut answers = busy.run().await;
    let answer = answers.remove(3);
    let told: Vec<_> = answers[1..].iter().map(|answer| answer.as_ref().unwrap().version()).collect();
    assert_eq!(told, others);
    sound_log(&busy.store).await;
    answer
}

#[tokio::test]
async fn a_refusal_is_based_on_what_those_before_it_have_stored() {
    let mut busy = Busy::new([]).await;
    let refused = busy.tallies.dispatch(take("1", 9));
    let answer = in_the_middle(&mut busy, refused, [2, 3, 4, 5]).await;
    assert_eq!(answer.unwrap_err().rejection(), Some(&TooLittle { total: 3 }));
    assert_eq!(busy.store.calls(), [1, 2, 2]);
    busy.tallies.shutdown().await;
}

// The refusal would be wrong: by the time that those before it are stored, another writer has added enough.
#[tokio::test]
async fn a_refusal_is_never_based_on_what_is_not_stored() {
    let mut busy = Busy::new([Act::After(append_to("tally-1", vec![added(10)]))]).await;
    let taken = busy.tallies.dispatch(take("1", 9));
    let answer = in_the_middle(&mut busy, taken, [3, 4, 6, 7]).await.unwrap();
    assert_eq!((answer.version(), answer.state().total), (5, 4));
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn a_command_without_events_sees_what_those_before_it_have_stored() {
    let mut busy = Busy::new([]).await;
    let looking = busy.tallies.dispatch(look("1"));
    let answer = in_the_middle(&mut busy, looking, [2, 3, 4, 5]).await.unwrap();
    assert_eq!((answer.version(), answer.position(), answer.state().total), (3, None, 3));
    assert_eq!(busy.store.calls(), [1, 2, 2]);
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn a_panic_fails_its_own_command_alone() {
    let mut busy = Busy::new([]).await;
    let exploding = busy.tallies.dispatch(explode("1"));
    let answer = in_the_middle(&mut busy, exploding, [2, 3, 4, 5]).await;
    assert!(matches!(answer, Err(DispatchError::Panicked { .. })), "{answer:?}");
    // The state is loaded anew behind a panic, with the first of the last two.
    assert_eq!(busy.store.calls(), [1, 2, 1, 1]);
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn an_event_that_is_too_large_fails_its_own_command_alone() {
    let mut busy = Busy::with(Config::new().payload_limit(14), []).await;
    let large = busy.tallies.dispatch(add_each("1", &[1, 1_000]));
    let answer = in_the_middle(&mut busy, large, [2, 3, 4, 5]).await;
    assert!(matches!(answer, Err(DispatchError::PayloadTooLarge { .. })), "{answer:?}");
    busy.tallies.shutdown().await;
}

// G8: what may be a repetition is asked for in the store.
#[tokio::test]
async fn a_command_with_a_key_is_appended_alone() {
    let mut busy = Busy::new([]).await;
    let keyed = busy.tallies.dispatch(add("1", 1)).idempotency_key("once");
    let answer = in_the_middle(&mut busy, keyed, [2, 3, 5, 6]).await.unwrap();
    assert_eq!((answer.version(), answer.is_repeated()), (4, false));
    assert_eq!(busy.store.calls(), [1, 2, 1, 2]);
    let again = busy.tallies.dispatch(add("1", 1)).idempotency_key("once").await.unwrap();
    assert_eq!((again.version(), again.is_repeated()), (4, true));
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn a_repetition_among_others_is_answered_with_its_first_outcome() {
    let store = ScriptedStore::default();
    let tallies = Tallies::builder(store.clone()).start().await.unwrap();
    tallies.dispatch(add("1", 7)).idempotency_key("once").await.unwrap();
    let mut busy = Busy::on(store, tallies, []).await;
    let keyed = busy.tallies.dispatch(add("1", 7)).idempotency_key("once");
    let answer = in_the_middle(&mut busy, keyed, [3, 4, 5, 6]).await.unwrap();
    assert_eq!((answer.version(), answer.is_repeated()), (1, true));
    assert_eq!(busy.store.calls(), [1, 1, 2, 2]);
    busy.tallies.shutdown().await;
}

#[tokio::test]
async fn an_expected_version_that_will_not_be_is_told_with_the_one_that_is_stored() {
    for expected in [1, 4] {
        let mut busy = Busy::new([]).await;
        let expecting = busy.tallies.dispatch(add("1", 1)).expected_version(expected);
        let answer = in_the_middle(&mut busy, expecting, [2, 3, 4, 5]).await;
        match answer {
            Err(DispatchError::WrongExpectedVersion { expected: found, actual: 3, .. }) => {
                assert_eq!(found, expected);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(busy.store.calls(), [1, 2, 2]);
        busy.tallies.shutdown().await;
    }
}

// A decision that may have to wait is begun once.
#[tokio::test]
async fn a_command_handler_is_called_once_and_alone() {
    let held = Gate::shut();
    let store = ScriptedStore::default();
    let builder = Tallies::builder(store.clone()).command_handler(Held(held.clone()));
    let mut busy = Busy::on(store, builder.start().await.unwrap(), []).await;
    held.let_one_in();
    let handled = busy.tallies.dispatch(add_held("1", 1));
    let answer = in_the_middle(&mut busy, handled, [2, 3, 5, 6]).await.unwrap();
    assert_eq!((answer.version(), held.arrivals()), (4, 1));
    assert_eq!(busy.store.calls(), [1, 2, 1, 2]);
    busy.tallies.shutdown().await;
}

// A dispatch that is dropped while it waits did not run.
#[tokio::test]
async fn a_command_that_was_given_up_is_passed_over() {
    let mut busy = Busy::new([]).await;
    busy.send_adds(2).await;
    let mut dropped = Box::pin(busy.tallies.dispatch(add("1", 100)).into_future());
    assert!(is_pending(&mut dropped).await, "it waits");
    busy.queued(3).await;
    busy.send(busy.tallies.dispatch(add("1", 1)));
    busy.queued(4).await;
    drop(dropped);
    assert_eq!(busy.versions().await, [1, 2, 3, 4]);
    assert_eq!(sound_log(&busy.store).await.len(), 4);
    busy.tallies.shutdown().await;
}

/// Polls once; tells whether it is pending.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending())
    })
    .await
}
