//! What becomes of events that a handler cannot handle.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::domain::*;
use crate::support::logged::Logged;
use cqrs::MemoryStore;
use cqrs::handler::{HandlerError, HandlerState, ParkedKey};
use cqrs::prelude::*;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Fails at notes that say "bad" until it was tried so many times.
fn fails_until(attempt: u32) -> (Script, mpsc::Receiver<(String, u32)>) {
    let (told, attempts) = mpsc::channel(1_000);
    let script = Script::new(move |event, context| {
        let told = told.clone();
        async move {
            told.send((event.text.clone(), context.attempt())).await.expect("the test listens");
            match event.text.as_str() {
                "bad" if context.attempt() < attempt => Err(Broken("on purpose")),
                _ => Ok(()),
            }
        }
    });
    (script, attempts)
}

const NEVER: u32 = u32::MAX;

async fn expect(attempts: &mut mpsc::Receiver<(String, u32)>, expected: &[(&str, u32)]) {
    for (text, attempt) in expected {
        assert_eq!(soon(attempts.recv()).await.unwrap(), ((*text).to_owned(), *attempt));
    }
    assert!(attempts.try_recv().is_err(), "more than expected");
}

// E-057, T-294, E-058
#[tokio::test]
async fn t_294_retry_counts_the_attempts() {
    let (script, mut attempts) = fails_until(4);
    let failures = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&failures);
    let script = script.on_error(move |failure| {
        assert!(matches!(failure.error, HandlerError::Failed(Broken("on purpose"))));
        noted.lock().unwrap().push((failure.attempt, failure.context.attempt(), failure.context.position()));
        ErrorAction::Retry
    });
    let desk = Desk::builder(MemoryStore::new()).event_handler(Careful(script)).start().await.unwrap();
    desk.dispatch(note("a", "bad")).consistency(Strong).await.unwrap();
    desk.dispatch(note("a", "good")).consistency(Strong).await.unwrap();
    expect(&mut attempts, &[("bad", 1), ("bad", 2), ("bad", 3), ("bad", 4), ("good", 1)]).await;
    assert_eq!(*failures.lock().unwrap(), [(1, 1, 1), (2, 2, 1), (3, 3, 1)]);
    let status = status(&desk, "careful").await;
    assert_eq!((status.state, status.last_error), (HandlerState::Running, None));
    desk.shutdown().await;
}

// T-294, E-061
#[tokio::test(start_paused = true)]
async fn t_294_retry_after_waits_that_long() {
    let (script, mut attempts) = fails_until(3);
    let script =
        script.on_error(|failure| ErrorAction::RetryAfter(Duration::from_secs(u64::from(failure.attempt))));
    let desk = Desk::builder(MemoryStore::new()).event_handler(Careful(script)).start().await.unwrap();
    let began = Instant::now();
    desk.dispatch(note("a", "bad")).consistency(Strong).await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(3) && took < Duration::from_millis(3_100), "{took:?}");
    expect(&mut attempts, &[("bad", 1), ("bad", 2), ("bad", 3)]).await;
    desk.shutdown().await;
}

// T-290
#[tokio::test(start_paused = true)]
async fn t_290_a_failing_handler_can_be_seen_while_it_waits() {
    let (script, mut attempts) = fails_until(2);
    let script = script.on_error(|_| ErrorAction::RetryAfter(Duration::from_secs(10)));
    let desk = Desk::builder(MemoryStore::new()).event_handler(Eager(script)).start().await.unwrap();
    desk.dispatch(note("a", "bad")).await.unwrap();
    let status = until_state(&desk, "eager", HandlerState::Retrying).await;
    assert_eq!((status.position, status.lag), (0, 1));
    let error = status.last_error.unwrap();
    assert!(error.contains("on purpose"), "{error}");
    assert!(!desk.health().await.unwrap().is_healthy());
    expect(&mut attempts, &[("bad", 1)]).await;

    until_caught_up(&desk, "eager").await;
    expect(&mut attempts, &[("bad", 2)]).await;
    assert!(desk.health().await.unwrap().is_healthy(), "what is over is forgotten");
    desk.shutdown().await;
}

// T-295, N-017
#[tokio::test]
async fn t_295_skip_counts_as_handled() {
    let store = MemoryStore::new();
    let (script, mut attempts) = fails_until(NEVER);
    let script = script.on_error(|_| ErrorAction::Skip);
    let builder = || Desk::builder(store.clone()).event_handler(Careful(script.clone()));
    let desk = builder().start().await.unwrap();
    desk.dispatch(note("a", "bad")).consistency(Strong).await.unwrap();
    desk.dispatch(note("a", "good")).consistency(Strong).await.unwrap();
    desk.shutdown().await;
    let desk = builder().start().await.unwrap();
    desk.dispatch(note("a", "next")).consistency(Strong).await.unwrap();
    expect(&mut attempts, &[("bad", 1), ("good", 1), ("next", 1)]).await;
    assert_eq!(status(&desk, "careful").await.state, HandlerState::Running);
    desk.shutdown().await;
}

// E-055, C-040, T-290, T-299, CA-002 (3)
#[tokio::test]
async fn t_299_stop_stops_that_handler_alone() {
    let store = MemoryStore::new();
    let (script, mut attempts) = fails_until(NEVER);
    let stopping = Eager(script.on_error(|_| ErrorAction::Stop));
    let (other, mut inbox) = Script::telling();
    let builder =
        || Desk::builder(store.clone()).event_handler(stopping.clone()).event_handler(Careful(other.clone()));
    let desk = builder().start().await.unwrap();
    for text in ["1", "bad", "3"] {
        desk.dispatch(note("a", text)).consistency(Strong).await.unwrap();
    }
    let failed = until_state(&desk, "eager", HandlerState::Failed).await;
    assert_eq!((failed.position, failed.lag), (1, 2), "it stands in front of the event");
    assert!(failed.last_error.unwrap().contains("on purpose"));
    desk.dispatch(note("b", "4")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["1", "bad", "3", "4"]);
    assert_eq!(status(&desk, "careful").await.lag, 0);
    expect(&mut attempts, &[("1", 1), ("bad", 1)]).await;
    assert!(desk.shutdown().await.is_clean());

    // The next start begins at the event where it stopped, not behind it.
    let desk = builder().start().await.unwrap();
    until_state(&desk, "eager", HandlerState::Failed).await;
    expect(&mut attempts, &[("bad", 1)]).await;
    desk.shutdown().await;
}

// E-067, T-292, T-296: growing delays, ten attempts, and then its stream is parked.
#[tokio::test(start_paused = true)]
async fn t_296_by_default_ten_attempts_with_growing_delays() {
    let moments = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&moments);
    let script = Script::new(move |_, _| {
        noted.lock().unwrap().push(Instant::now());
        std::future::ready(Err(Broken("for ever")))
    });
    let desk = Desk::builder(MemoryStore::new()).event_handler(Careful(script)).start().await.unwrap();
    desk.dispatch(note("a", "bad"))
        .consistency(Strong)
        .consistency_timeout(Duration::from_secs(3_600))
        .await
        .unwrap_err();
    let status = status(&desk, "careful").await;
    assert_eq!((status.state, status.parked), (HandlerState::Running, 1));
    let parked = desk.handler("careful").unwrap().parked(None, 10).await.unwrap();
    assert_eq!(parked[0].attempts, 10);
    assert!(parked[0].error.contains("for ever"), "{}", parked[0].error);

    let moments = moments.lock().unwrap().clone();
    assert_eq!(moments.len(), 10);
    for (index, pair) in moments.windows(2).enumerate() {
        let full = Duration::from_millis((100 << index).min(30_000));
        let waited = pair[1] - pair[0];
        let slack = Duration::from_millis(2);
        assert!(waited >= full / 2 && waited <= full + slack, "{waited:?} where {full:?} is the most");
    }
    desk.shutdown().await;
}

// T-290: giving up is loud.
#[tokio::test]
async fn t_290_a_handler_that_gives_up_says_so_at_error_level() {
    let (log, _guard) = Logged::at(tracing::Level::ERROR);
    let (script, _attempts) = fails_until(NEVER);
    let desk = Desk::builder(MemoryStore::new())
        .name("loud")
        .event_handler(Eager(script.on_error(|_| ErrorAction::Stop)))
        .start()
        .await
        .unwrap();
    desk.dispatch(note("a", "bad")).await.unwrap();
    until_state(&desk, "eager", HandlerState::Failed).await;
    desk.shutdown().await;
    let text = log.text();
    for part in ["ERROR", "handler stopped", "loud", "eager", "cqrs.event_number=1", "on purpose"] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
}

// T-291, N-017, DEF-013, G10
#[tokio::test]
async fn n_017_a_panic_is_a_failure_like_any_other() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let script = Script::new(move |event, context| {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, Ordering::Relaxed);
            assert!(event.text != "bad" || context.attempt() == 3, "boom {}", context.attempt());
            Ok(())
        }
    })
    .on_error(|failure| match &failure.error {
        HandlerError::Panicked(message) if *message == format!("boom {}", failure.attempt) => {
            ErrorAction::Retry
        }
        _ => ErrorAction::Stop,
    });
    let desk = Desk::builder(MemoryStore::new()).event_handler(Careful(script)).start().await.unwrap();
    for text in ["bad", "good"] {
        desk.dispatch(note("a", text)).consistency(Strong).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    desk.shutdown().await;
}

// T-291, N-17: by default a panic is tried again, and then parked with its message.
#[tokio::test(start_paused = true)]
async fn t_291_the_panic_s_message_is_told() {
    let script = Script::new(|_, _| async { panic!("no ink left") });
    let desk = Desk::builder(MemoryStore::new()).event_handler(Eager(script)).start().await.unwrap();
    desk.dispatch(note("a", "x")).await.unwrap();
    let parked = until_parked_paused(&desk, "eager").await;
    assert!(parked.error.contains("no ink left"), "{}", parked.error);
    desk.shutdown().await;
}

/// On paused time the default policy takes minutes, which pass at once.
async fn until_parked_paused(desk: &Desk, handler: &str) -> ParkedKey {
    tokio::time::timeout(Duration::from_secs(600), async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let parked = desk.handler(handler).unwrap().parked(None, 1).await.unwrap();
            if let Some(parked) = parked.into_iter().next() {
                return parked;
            }
        }
    })
    .await
    .expect("it gets there within ten minutes")
}

// T-299, G10
#[tokio::test]
async fn t_299_a_panic_in_on_error_stops_that_handler_alone() {
    let (script, _attempts) = fails_until(NEVER);
    let broken = Eager(script.on_error(|_| panic!("even that")));
    let (other, mut inbox) = Script::telling();
    let desk = Desk::builder(MemoryStore::new())
        .event_handler(broken)
        .event_handler(Careful(other))
        .start()
        .await
        .unwrap();
    desk.dispatch(note("a", "bad")).consistency(Strong).await.unwrap();
    until_state(&desk, "eager", HandlerState::Failed).await;
    desk.dispatch(note("a", "next")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["bad", "next"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn t_292_an_event_that_cannot_be_decoded_is_a_failure_without_retries() {
    let store = MemoryStore::new();
    write(&store, "raw-1", "desk.Noted", &[r#"{"book":1}"#.to_owned()]).await;
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store).event_handler(Eager(script)).start().await.unwrap();
    until_caught_up(&desk, "eager").await;
    let parked = desk.handler("eager").unwrap().parked(None, 10).await.unwrap();
    let [ParkedKey { attempts: 1, error, .. }] = &*parked else { panic!("{parked:?}") };
    assert!(error.contains("could not be decoded") && error.contains("desk.Noted"), "{error}");
    assert_eq!(inbox.rest(), Vec::<String>::new());
    desk.shutdown().await;
}

#[tokio::test]
async fn t_292_on_error_may_skip_an_event_that_cannot_be_decoded() {
    let store = MemoryStore::new();
    write(&store, "raw-1", "desk.Noted", &["not JSON".to_owned(), stored_note("2")]).await;
    let (script, mut inbox) = Script::telling();
    let script = script.on_error(|failure| match failure.error {
        HandlerError::Undecodable(_) => ErrorAction::Skip,
        _ => ErrorAction::Stop,
    });
    let desk = Desk::builder(store).event_handler(Eager(script)).start().await.unwrap();
    assert_eq!(inbox.texts(1).await, ["2"]);
    desk.shutdown().await;
}

// L-022, T-297
#[tokio::test(start_paused = true)]
async fn t_297_a_shutdown_does_not_wait_for_a_backoff() {
    let store = MemoryStore::new();
    let (script, mut attempts) = fails_until(NEVER);
    let day = Duration::from_secs(24 * 3_600);
    let script = script.on_error(move |_| ErrorAction::RetryAfter(day));
    let desk = Desk::builder(store.clone()).event_handler(Eager(script)).start().await.unwrap();
    desk.dispatch(note("a", "bad")).await.unwrap();
    until_state(&desk, "eager", HandlerState::Retrying).await;
    let began = Instant::now();
    let report = desk.shutdown().await;
    assert!(report.is_clean(), "{report}");
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
    expect(&mut attempts, &[("bad", 1)]).await;

    // The event is not lost.
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store).event_handler(Eager(script)).start().await.unwrap();
    assert_eq!(inbox.texts(1).await, ["bad"]);
    desk.shutdown().await;
}

// T-297: nor does a handler that tries again at once keep a shutdown waiting.
#[tokio::test]
async fn t_297_a_handler_that_retries_for_ever_can_be_shut_down() {
    let script =
        Script::new(|_, _| std::future::ready(Err(Broken("again")))).on_error(|_| ErrorAction::Retry);
    let desk = Desk::builder(MemoryStore::new()).event_handler(Eager(script)).start().await.unwrap();
    desk.dispatch(note("a", "bad")).await.unwrap();
    until_state(&desk, "eager", HandlerState::Retrying).await;
    assert!(soon(desk.shutdown()).await.is_clean());
}

// N-023, DEF-019
#[tokio::test]
async fn n_023_a_slow_handler_delays_no_other() {
    let (began, mut begun) = mpsc::channel(1);
    let slow = Script::new(move |_, _| {
        let began = began.clone();
        async move {
            began.send(()).await.expect("the test listens");
            std::future::pending().await
        }
    });
    let (quick, mut inbox) = Script::telling();
    let desk = Desk::builder(MemoryStore::new())
        .event_handler(Eager(slow))
        .event_handler(Careful(quick))
        .start()
        .await
        .unwrap();
    for at in 0..100 {
        desk.dispatch(note("a", at.to_string())).consistency(Strong).await.unwrap();
    }
    soon(begun.recv()).await.unwrap();
    assert_eq!(inbox.rest().len(), 100);
    let slow = status(&desk, "eager").await;
    assert_eq!((slow.state, slow.position, slow.lag), (HandlerState::Running, 0, 100));
    let report = desk.shutdown_within(Duration::from_millis(50)).await;
    assert_eq!(report.unfinished_handlers, ["eager"]);
}
