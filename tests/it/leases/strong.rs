//! A strong dispatch on a node where the handler does not run.

use std::time::Duration;

use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::testing::settle;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::domain::*;
use crate::support::gate::Gate;

/// Takes some time for each note, then tells.
fn taking(time: Duration) -> (Script, mpsc::Receiver<u64>) {
    let (told, handled) = mpsc::channel(100);
    let script = Script::new(move |_, context: EventContext| {
        let told = told.clone();
        async move {
            tokio::time::sleep(time).await;
            told.send(context.position()).await.map_err(|_| Broken("nobody listens"))
        }
    });
    (script, handled)
}

// T-107, D4
#[tokio::test(start_paused = true)]
async fn t_091_a_strong_dispatch_waits_for_a_handler_on_another_node() {
    const WORK: Duration = Duration::from_millis(300);
    let (store, _clock) = store_with_clock();
    let (script, mut handled) = taking(WORK);
    let a = node("a", store.clone(), Careful(script.clone())).await;
    let b = node("b", store, Careful(script)).await;
    for position in 1..=5 {
        let began = Instant::now();
        b.dispatch(note("x", "text")).consistency(Strong).await.unwrap();
        let took = began.elapsed();
        assert_eq!(handled.try_recv().unwrap(), position);
        assert!(took >= WORK && took < 2 * WORK, "{took:?}");
        assert_eq!(status(&b, "careful").await.position, position);
    }
    assert_eq!(state(&b, "careful").await, HandlerState::Passive);
    a.shutdown().await;
    b.shutdown().await;
}

// A quick handler is not waited for until the next regular look.
#[tokio::test(start_paused = true)]
async fn t_091_a_quick_handler_on_another_node_is_waited_for_shortly() {
    let (store, _clock) = store_with_clock();
    let (teller, mut handled) = Teller::new();
    let a = node("a", store.clone(), Careful(teller.on("a"))).await;
    let b = node("b", store, Careful(teller.on("b"))).await;
    for position in 1..=20 {
        // Whenever it comes between two regular looks.
        tokio::time::sleep(RETRY / 7).await;
        let began = Instant::now();
        b.dispatch(note("x", "text")).consistency(Strong).await.unwrap();
        assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
        assert_eq!(places(&told(&mut handled)), [("a", position)]);
    }
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn t_091_what_the_other_node_does_not_handle_in_time_is_committed() {
    let (store, _clock) = store_with_clock();
    let (script, _handled) = taking(Duration::from_secs(3_600));
    let a = node("a", store.clone(), Careful(script.clone())).await;
    let b = node("b", store, Careful(script)).await;
    let dispatch = b.dispatch(note("x", "text")).consistency(Strong);
    let error = dispatch.consistency_timeout(Duration::from_secs(2)).await.unwrap_err();
    assert!(error.is_committed(), "{error}");
    assert!(error.to_string().contains("careful (passive)"), "{error}");
    b.shutdown().await;
    a.shutdown_within(Duration::from_secs(1)).await;
}

// The owner goes while somebody waits on another node, which handles the event then and answers.
#[tokio::test(start_paused = true)]
async fn t_091_a_wait_goes_on_when_the_handler_comes_over() {
    let (store, _clock) = store_with_clock();
    let gate = Gate::shut();
    let inner = gate.clone();
    let stuck = Script::new(move |_, _| {
        let gate = inner.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    });
    let (teller, mut handled) = Teller::new();
    let a = node("a", store.clone(), Careful(stuck)).await;
    let b = node("b", store, Careful(teller.on("b"))).await;
    let dispatch = b.dispatch(note("x", "text")).consistency(Strong);
    let patient = async { dispatch.consistency_timeout(Duration::from_secs(60)).await };
    let end = async {
        gate.arrival().await;
        a.shutdown_within(Duration::from_secs(1)).await
    };
    let (dispatched, report) = tokio::join!(patient, end);
    dispatched.unwrap();
    assert_eq!(report.unfinished_handlers, ["careful"]);
    assert_eq!(places(&told(&mut handled)), [("b", 1)]);
    b.shutdown().await;
}

// An owner that only foreign events pass by does not note down each step, and nobody waits for it to do so.
#[tokio::test(start_paused = true)]
async fn c_039_foreign_events_do_not_hold_up_a_passive_node() {
    let (store, _clock) = store_with_clock();
    let (teller, mut handled) = Teller::new();
    let a = node("a", store.clone(), Careful(teller.on("a"))).await;
    let b = node("b", store.clone(), Careful(teller.on("b"))).await;
    b.dispatch(note("x", "wanted")).consistency(Strong).await.unwrap();
    for _ in 0..10 {
        write(&store, "elsewhere-1", "nobody.Knows", &["{}".to_owned()]).await;
    }
    let began = Instant::now();
    settle(&b).await;
    assert!(began.elapsed() < RETRY, "{:?}", began.elapsed());
    let passive = status(&b, "careful").await;
    assert_eq!((passive.position, passive.lag, passive.state), (11, 0, HandlerState::Passive));
    assert_eq!(places(&told(&mut handled)), [("a", 1)]);
    a.shutdown().await;
    b.shutdown().await;
}
