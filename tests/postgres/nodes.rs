//! Several nodes of one application on one schema.

use std::collections::HashSet;

use cqrs::handler::HandlerState;
use cqrs::postgres::testing::TestSchema;
use cqrs::prelude::*;
use futures_util::future::join_all;
use tokio::sync::mpsc;

use crate::domain::{Account, Bank, Statements, in_time, pay, schema, store};

async fn node(schema: &TestSchema, name: &'static str, told: &mpsc::Sender<(&'static str, u64)>) -> Bank {
    let handler = Statements { node: name, told: told.clone() };
    Bank::builder(store(schema).await).node(name).event_handler(handler).start().await.unwrap()
}

/// G3: nodes that write to one account at once lose nothing and double nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_078_nodes_race_for_one_account() {
    const EACH: usize = 40;
    let schema = schema().await;
    let (told, _hear) = mpsc::channel(10_000);
    let nodes = [node(&schema, "a", &told).await, node(&schema, "b", &told).await];
    let dispatches = nodes.iter().flat_map(|bank| {
        (0..EACH).map(|_| {
            let bank = bank.clone();
            tokio::spawn(
                async move { bank.dispatch(pay("a", 1)).retry_attempts(1_000).await.unwrap().version() },
            )
        })
    });
    let versions: Vec<_> = in_time(join_all(dispatches)).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(versions.iter().collect::<HashSet<_>>().len(), 2 * EACH, "no version is given twice");
    for bank in &nodes {
        assert_eq!(bank.aggregate_state::<Account>("a").await.unwrap().state.balance, 2 * EACH as u64);
    }
    for bank in nodes {
        bank.shutdown().await;
    }
}

/// G6, D7: each event is handled once, also when the node that handles them goes and another one takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_098_a_handler_moves_to_the_node_that_stays() {
    let schema = schema().await;
    let (told, mut hear) = mpsc::channel(10_000);
    let (a, b) = (node(&schema, "a", &told).await, node(&schema, "b", &told).await);
    let mut total = 0;
    for at in 0..20 {
        // A strong dispatch on the node that does not handle waits for the one that does.
        let desk = if at % 2 == 0 { &a } else { &b };
        in_time(desk.dispatch(pay("x", 1)).consistency(Strong)).await.unwrap();
        total += 1;
        assert_eq!(hear.len(), total, "the dispatch has waited");
    }
    assert!(in_time(a.shutdown()).await.is_clean());
    for _ in 0..5 {
        in_time(b.dispatch(pay("x", 1)).consistency(Strong)).await.unwrap();
    }
    let handlers = b.handlers().await.unwrap();
    assert_eq!(handlers[0].state, HandlerState::Running);
    b.shutdown().await;
    let mut handled = Vec::new();
    while let Ok(one) = hear.try_recv() {
        handled.push(one);
    }
    assert_eq!(
        handled.iter().map(|(_, position)| *position).collect::<Vec<_>>(),
        (1..=25).collect::<Vec<_>>()
    );
    assert!(
        handled[..20].iter().all(|(node, _)| *node == "a")
            && handled[20..].iter().all(|(node, _)| *node == "b")
    );
}
