//! The states that handlers keep, on Postgres: they are written with the position, whoever dies.

use std::collections::BTreeMap;
use std::time::Duration;

use cqrs::application::{AddHandlerError, Builder, Config, StartError};
use cqrs::handler::HandlerState;
use cqrs::postgres::testing::{StopMode, TestSchema, TestServer};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use crate::domain::{Desk, Paid, in_time, pay, schema, store};

const ACCOUNTS: u64 = 20;

/// What was paid into each account, payment by payment.
#[derive(Serialize, Deserialize, Default, Clone, Debug, PartialEq)]
pub struct Payments(BTreeMap<String, Vec<u64>>);

struct Ledger;

#[event_handler(name = "ledger", interested_in = [Paid], partitions = 4, state = Payments)]
impl Ledger {
    fn on_paid(&self, event: &Paid, state: &mut Payments) {
        state.0.entry(event.account_id.clone()).or_default().push(event.amount);
    }
}

application! {
    struct Books {
        routers: [Desk],
    }
}

async fn builder(schema: &TestSchema, name: &str) -> Builder<Books> {
    let config = Config::new().lease_ttl(Duration::from_secs(3)).checkpoint_every(3);
    Books::builder(store(schema).await).node(name).config(config)
}

async fn node(schema: &TestSchema, name: &str) -> Books {
    builder(schema, name).await.event_handler(Ledger).start().await.unwrap()
}

/// Pays into each account, also while the server is away.
async fn pay_all(books: &Books, amount: u64) {
    for account in 0..ACCOUNTS {
        in_time(async {
            let key = format!("{account}/{amount}");
            let pay = || pay(&account.to_string(), amount);
            while books.dispatch(pay()).idempotency_key(key.clone()).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

async fn until_caught_up(books: &Books) {
    let ledger = books.handler("ledger").unwrap();
    in_time(async { while ledger.status().await.unwrap().lag > 0 {} }).await;
}

/// All states together.
async fn kept(books: &Books) -> BTreeMap<String, Vec<u64>> {
    let mut all = BTreeMap::new();
    for state in books.handler("ledger").unwrap().states().await.unwrap().into_iter().flatten() {
        let Payments(payments) = serde_json::from_value(state).unwrap();
        for (account, amounts) in payments {
            assert_eq!(all.insert(account, amounts), None, "an account is of one partition");
        }
    }
    all
}

#[tokio::test]
async fn t_285_a_state_outlives_the_application() {
    let schema = schema().await;
    for amount in 0..3 {
        let books = node(&schema, "1").await;
        pay_all(&books, amount).await;
        until_caught_up(&books).await;
        assert!(books.shutdown().await.is_clean());
        let kept = kept(&books).await;
        assert_eq!(kept.len(), usize::try_from(ACCOUNTS).unwrap());
        let expected: Vec<_> = (0..=amount).collect();
        assert!(kept.values().all(|amounts| *amounts == expected), "{kept:?}");
    }
}

/// G6: nodes are cut off, and the server is killed, in the midst of handling.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_006_each_event_changes_the_state_once_whoever_dies() {
    let server = TestServer::builder().durable().start().await.unwrap();
    let schema = TestSchema::new(&server);
    let mut nodes = vec![node(&schema, "0").await, node(&schema, "1").await];
    for amount in 0..6 {
        pay_all(&nodes[1], amount).await;
        if amount % 2 == 0 {
            drop(nodes.remove(0));
            nodes.push(node(&schema, &(amount + 2).to_string()).await);
        } else {
            server.stop(StopMode::Immediate).await.unwrap();
            server.start_again().await.unwrap();
        }
    }
    nodes.remove(0).shutdown().await;
    let last = nodes.remove(0);
    in_time(async {
        let partitions = async || last.handler("ledger").unwrap().partitions().await.unwrap();
        while !partitions().await.iter().all(|one| one.state == HandlerState::Running) {}
    })
    .await;
    until_caught_up(&last).await;
    assert!(last.shutdown().await.is_clean());
    let kept = kept(&last).await;
    assert_eq!(kept.len(), usize::try_from(ACCOUNTS).unwrap());
    for (account, amounts) in kept {
        assert_eq!(amounts, (0..6).collect::<Vec<_>>(), "{account}");
    }
}

/// Adds the handler, also while the server is away.
async fn add(books: &Books) {
    in_time(async {
        while let Err(error) = books.add_event_handler(Ledger).await {
            assert!(matches!(error, AddHandlerError::Start(StartError::Store { .. })), "{error:?}");
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// G6: a handler comes and goes on two nodes while events are written and the server is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_006_each_event_changes_the_state_once_while_its_handler_comes_and_goes() {
    let server = TestServer::builder().durable().start().await.unwrap();
    let schema = TestSchema::new(&server);
    let nodes = [
        builder(&schema, "0").await.start().await.unwrap(),
        builder(&schema, "1").await.start().await.unwrap(),
    ];
    let written = tokio::spawn({
        let books = nodes[0].clone();
        async move {
            for amount in 0..6 {
                pay_all(&books, amount).await;
            }
        }
    });
    let mut round = 0;
    while round < 6 || !written.is_finished() {
        let here = &nodes[round % 2];
        add(here).await;
        if round % 3 == 1 && round < 6 {
            server.stop(StopMode::Immediate).await.unwrap();
            server.start_again().await.unwrap();
        }
        here.remove_handler("ledger").await.unwrap();
        round += 1;
    }
    written.await.unwrap();
    add(&nodes[0]).await;
    in_time(async {
        let partitions = async || nodes[0].handler("ledger").unwrap().partitions().await.unwrap();
        while !partitions().await.iter().all(|one| one.state == HandlerState::Running) {}
    })
    .await;
    until_caught_up(&nodes[0]).await;
    // What it has kept is written when it goes.
    nodes[0].remove_handler("ledger").await.unwrap();
    add(&nodes[0]).await;
    let kept = kept(&nodes[0]).await;
    assert_eq!(kept.len(), usize::try_from(ACCOUNTS).unwrap());
    for (account, amounts) in kept {
        assert_eq!(amounts, (0..6).collect::<Vec<_>>(), "{account}");
    }
    for node in nodes {
        assert!(node.shutdown().await.is_clean());
    }
}
