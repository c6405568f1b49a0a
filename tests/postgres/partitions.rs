//! Handlers that are divided into partitions, on Postgres: nodes share them, come and go, and lose their server.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cqrs::application::Config;
use cqrs::handler::HandlerState;
use cqrs::postgres::testing::{StopMode, TestSchema, TestServer};
use cqrs::prelude::*;

use crate::domain::{Desk, Paid, in_time, pay, schema, store};

const ACCOUNTS: u64 = 40;
const PARTITIONS: usize = 8;

/// The amounts by account, in the order in which they were handled.
#[derive(Clone, Default)]
struct Divided(Arc<Mutex<BTreeMap<String, Vec<u64>>>>);

#[event_handler(name = "divided", interested_in = [Paid], partitions = 8)]
impl Divided {
    fn on_paid(&self, event: &Paid) -> Result<(), Infallible> {
        self.0.lock().unwrap().entry(event.account_id.clone()).or_default().push(event.amount);
        Ok(())
    }
}

impl Divided {
    /// Each amount at least once, for the first time in order; exactly once unless `may_repeat`.
    fn check(&self, amounts: u64, may_repeat: bool) {
        let accounts = self.0.lock().unwrap();
        assert_eq!(accounts.len(), usize::try_from(ACCOUNTS).unwrap());
        for (account, handled) in &*accounts {
            let mut seen = BTreeSet::new();
            let firsts: Vec<_> = handled.iter().copied().filter(|amount| seen.insert(*amount)).collect();
            assert_eq!(firsts, (0..amounts).collect::<Vec<_>>(), "{account}: {handled:?}");
            assert!(may_repeat || handled.len() == firsts.len(), "{account}: {handled:?}");
        }
    }
}

application! {
    struct Payments {
        routers: [Desk],
    }
}

async fn node(schema: &TestSchema, name: &str, divided: &Divided) -> Payments {
    let config = Config::new().lease_ttl(Duration::from_secs(3));
    let payments = Payments::builder(store(schema).await).node(name).config(config);
    payments.event_handler(divided.clone()).start().await.unwrap()
}

/// Pays into each account, also while the server is away.
async fn pay_all(payments: &Payments, amount: u64) {
    for account in 0..ACCOUNTS {
        in_time(async {
            let key = format!("{account}/{amount}");
            while payments
                .dispatch(pay(&account.to_string(), amount))
                .idempotency_key(key.clone())
                .await
                .is_err()
            {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

async fn running(payments: &Payments) -> usize {
    let partitions = payments.handler("divided").unwrap().partitions().await.unwrap();
    partitions.iter().filter(|partition| partition.state == HandlerState::Running).count()
}

async fn until_running(payments: &Payments, count: usize) {
    in_time(async { while running(payments).await != count {} }).await;
}

async fn until_caught_up(payments: &Payments) {
    let handler = payments.handler("divided").unwrap();
    in_time(async { while handler.status().await.unwrap().lag > 0 {} }).await;
}

/// D7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_spread_over_nodes_and_each_event_is_handled_once() {
    let (schema, divided) = (schema().await, Divided::default());
    let first = node(&schema, "1", &divided).await;
    pay_all(&first, 0).await;
    let second = node(&schema, "2", &divided).await;
    pay_all(&first, 1).await;
    until_running(&first, PARTITIONS / 2).await;
    until_running(&second, PARTITIONS / 2).await;
    pay_all(&second, 2).await;
    first.shutdown().await;
    until_running(&second, PARTITIONS).await;
    pay_all(&second, 3).await;
    until_caught_up(&second).await;
    divided.check(4, false);
    second.shutdown().await;
}

/// G5, G6: nodes are cut off, and the server is restarted, while some partitions are ahead of others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_006_nothing_is_passed_over_whoever_dies() {
    let server = TestServer::builder().durable().start().await.unwrap();
    let (schema, divided) = (TestSchema::new(&server), Divided::default());
    let mut nodes = vec![node(&schema, "0", &divided).await, node(&schema, "1", &divided).await];
    for amount in 0..6 {
        pay_all(&nodes[1], amount).await;
        if amount % 2 == 0 {
            drop(nodes.remove(0));
            nodes.push(node(&schema, &(amount + 2).to_string(), &divided).await);
        } else {
            server.stop(StopMode::Immediate).await.unwrap();
            server.start_again().await.unwrap();
        }
    }
    nodes.remove(0).shutdown().await;
    until_running(&nodes[0], PARTITIONS).await;
    until_caught_up(&nodes[0]).await;
    divided.check(6, true);
    nodes.remove(0).shutdown().await;
}
