//! Nodes that come and go in an orderly way.

use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::handler::HandlerState;
use cqrs::id::NodeId;
use cqrs::prelude::*;
use cqrs::store::{CheckpointStore as _, LeaseStore as _};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::domain::*;

// PG-098
#[tokio::test]
async fn pg_098_of_two_nodes_one_runs_the_handler() {
    let store = MemoryStore::new();
    let (teller, mut handled) = Teller::new();
    let a = node("a", store.clone(), Careful(teller.on("a"))).await;
    let b = node("b", store, Careful(teller.on("b"))).await;
    for at in 0..20 {
        let desk = if at % 2 == 0 { &a } else { &b };
        desk.dispatch(note("x", at.to_string())).consistency(Strong).await.unwrap();
    }
    let expected: Vec<_> = (1..=20).map(|position| ("a", position)).collect();
    assert_eq!(places(&told(&mut handled)), expected, "the first one runs it, each event once and in order");
    assert_eq!(state(&a, "careful").await, HandlerState::Running);
    assert_eq!(state(&b, "careful").await, HandlerState::Passive);
    assert!(b.health().await.unwrap().is_healthy(), "to be passive is no trouble");
    a.shutdown().await;
    b.shutdown().await;
    assert_eq!(state(&b, "careful").await, HandlerState::Stopped);
    assert_eq!(told(&mut handled), []);
}

// PG-098, G6: without waiting for any time to pass, and without a repeated or skipped event.
#[tokio::test(start_paused = true)]
async fn pg_098_a_node_that_shuts_down_hands_over_at_once() {
    let (store, _clock) = store_with_clock();
    let (teller, mut handled) = Teller::new();
    let a = node("a", store.clone(), Careful(teller.on("a"))).await;
    let b = node("b", store.clone(), Careful(teller.on("b"))).await;
    for text in ["1", "2", "3"] {
        a.dispatch(note("x", text)).await.unwrap();
    }
    assert!(a.shutdown().await.is_clean());
    let stopped = Instant::now();
    until_state(&b, "careful", HandlerState::Running).await;
    assert!(stopped.elapsed() < RETRY / 10, "{:?}", stopped.elapsed());
    b.dispatch(note("x", "4")).consistency(Strong).await.unwrap();
    let handled = places(&told(&mut handled));
    let positions: Vec<_> = handled.iter().map(|(_, position)| *position).collect();
    assert_eq!(positions, [1, 2, 3, 4]);
    assert_eq!(handled[3].0, "b");
    b.shutdown().await;
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(4));
}

/// Nodes come and go for a while, the first of them first; an event is noted all the time.
async fn check_rounds(config: Config) {
    const HANDLERS: [&str; 3] = ["one", "two", "three"];
    let store = MemoryStore::new();
    let (teller, mut handled) = Teller::new();
    let start = async |name: &'static str| {
        let mut builder = Desk::builder(store.clone()).node(name).config(config.clone());
        for handler in HANDLERS {
            builder = builder.event_handler_as(handler, Eager(teller.on(handler)));
        }
        builder.start().await.unwrap()
    };
    let writer = Desk::builder(store.clone()).node("writer").start().await.unwrap();
    let mut writing = JoinSet::new();
    let noting = writer.clone();
    writing.spawn(async move {
        for at in 0..300 {
            noting.dispatch(note(&(at % 7).to_string(), at.to_string())).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let mut nodes = vec![start("0").await, start("1").await, start("2").await];
    for name in ["3", "4", "5", "6"] {
        let first = nodes.remove(0);
        let (report, next) = tokio::join!(first.shutdown(), start(name));
        assert!(report.is_clean(), "{report}");
        nodes.push(next);
    }
    soon(writing.join_all()).await;
    for handler in HANDLERS {
        until_caught_up(&nodes[0], handler).await;
        let mut running = 0;
        for desk in &nodes {
            match state(desk, handler).await {
                HandlerState::Running => running += 1,
                other => assert_eq!(other, HandlerState::Passive),
            }
        }
        assert_eq!(running, 1, "{handler} runs once");
    }
    for desk in nodes {
        assert!(desk.shutdown().await.is_clean());
    }
    writer.shutdown().await;
    let handled = places(&told(&mut handled));
    for handler in HANDLERS {
        let seen = handled.iter().filter(|(name, _)| *name == handler).map(|(_, position)| *position);
        let expected: Vec<u64> = (1..=300).collect();
        assert_eq!(seen.collect::<Vec<_>>(), expected, "{handler}: each event once, in order");
    }
}

// PG-098, G5, G6
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g6_nodes_that_come_and_go_repeat_and_skip_nothing() {
    check_rounds(Config::new()).await;
}

// PG-098, G5, G6
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g6_nor_with_small_pages() {
    check_rounds(Config::new().tail_page(2).tail_buffer(1)).await;
}

// The node that owns the handler decides where it begins, and decides it once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t_278_nodes_that_start_at_once_agree_on_the_present() {
    for _ in 0..20 {
        let store = MemoryStore::new();
        let (teller, mut handled) = Teller::new();
        let writer = Desk::builder(store.clone()).node("writer").start().await.unwrap();
        writer.dispatch(note("x", "before")).await.unwrap();
        let start = async |name| {
            let desk = node(name, store.clone(), Newcomer(teller.on(name))).await;
            let position = desk.dispatch(note(name, "after")).await.unwrap().position().unwrap();
            (desk, position)
        };
        let ((a, of_a), (b, of_b)) = tokio::join!(start("a"), start("b"));
        until_caught_up(&a, "newcomer").await;
        let seen: Vec<_> = places(&told(&mut handled)).into_iter().map(|(_, position)| position).collect();
        for position in [of_a, of_b] {
            let times = seen.iter().filter(|seen| **seen == position).count();
            assert_eq!(times, 1, "position {position} comes after a start: {seen:?}");
        }
        for desk in [a, b, writer] {
            desk.shutdown().await;
        }
    }
}

// A node died before it could say where the handler begins: the present is that of the next one's start.
#[tokio::test]
async fn t_278_the_present_is_that_of_the_start() {
    let store = MemoryStore::new();
    let dead = NodeId::new();
    let epoch = store.acquire_lease("newcomer", dead, TTL).await.unwrap().unwrap();
    let (teller, mut handled) = Teller::new();
    let desk = node("a", store.clone(), Newcomer(teller.on("a"))).await;
    assert_eq!(state(&desk, "newcomer").await, HandlerState::Passive);
    desk.dispatch(note("x", "after the start")).await.unwrap();
    store.release_lease("newcomer", epoch).await.unwrap();
    until_caught_up(&desk, "newcomer").await;
    assert_eq!(places(&told(&mut handled)), [("a", 1)]);
    desk.shutdown().await;
}
