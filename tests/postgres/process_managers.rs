//! Process managers on Postgres: money that is on its way is neither lost nor doubled, whatever happens meanwhile.

use std::time::Duration;

use cqrs::application::Config;
use cqrs::postgres::testing::{StopMode, TestSchema, TestServer};
use cqrs::postgres::{PostgresConfig, PostgresStore, Schema};
use cqrs::prelude::*;
use cqrs::store::{EventStore as _, Store};
use cqrs::testing::settle;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::bank::application::BankRouter;
use crate::bank::domain::{BankAccount, Deposit, OpenAccount};
use crate::bank::transfer::{MoneyTransfer, Progress, RequestTransfer, Transfer};
use crate::domain::{Desk, Paid, in_time, pay, schema, store};

application! {
    struct Transfers {
        routers: [BankRouter],
        process_managers: [MoneyTransfer],
    }
}

const ACCOUNTS: usize = 4;
const EACH: u64 = 1_000;

async fn node(store: impl Store, name: &str) -> Transfers {
    // Another node takes over soon, and a busy machine does not make this one lose its lease all the time.
    let config = Config::new().lease_ttl(Duration::from_secs(3));
    Transfers::builder(store).node(name).config(config).start().await.unwrap()
}

fn account(number: usize) -> String {
    format!("a{}", number % ACCOUNTS)
}

async fn open_accounts(bank: &Transfers) {
    for number in 0..ACCOUNTS {
        let account_id = account(number);
        bank.dispatch(OpenAccount { account_id: account_id.clone(), owner: "Ada".to_owned() }).await.unwrap();
        bank.dispatch(Deposit { account_id, amount: EACH, transfer_id: None }).await.unwrap();
    }
}

/// Every seventh transfer is to an account that does not exist.
fn request(number: usize) -> RequestTransfer {
    let to = if number.is_multiple_of(7) { "nobody".to_owned() } else { account(number + 1) };
    RequestTransfer { transfer_id: format!("t{number}"), from: account(number), to, amount: 1 }
}

/// Dispatches until the store takes it.
async fn request_for_certain(bank: &Transfers, number: usize) {
    in_time(async {
        loop {
            match bank.dispatch(request(number)).idempotency_key(format!("t{number}")).await {
                Ok(_) => return,
                Err(
                    DispatchError::Store { .. }
                    | DispatchError::OutcomeUnknown { .. }
                    | DispatchError::Timeout { .. },
                ) => {
                    tokio::task::yield_now().await;
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    })
    .await;
}

/// Waits until all transfers have ended, and checks that each did as it should, and that no money is lost or doubled.
async fn check(bank: &Transfers, transfers: usize) {
    for number in 0..transfers {
        let end = in_time(async {
            loop {
                let transfer = bank.aggregate_state::<Transfer>(format!("t{number}")).await;
                match transfer.map(|transfer| transfer.state.progress.clone()) {
                    Ok(Progress::UnderWay | Progress::NotRequested) | Err(_) => {
                        tokio::task::yield_now().await;
                    }
                    Ok(end) => return end,
                }
            }
        })
        .await;
        assert_eq!(end == Progress::Completed, !number.is_multiple_of(7), "t{number} is {end:?}");
    }
    let manager = bank.process_manager("money-transfer").unwrap();
    let rest = async {
        while !manager.instances(None, 1).await.unwrap().is_empty()
            || !manager.pending_commands(None, 1).await.unwrap().is_empty()
        {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), rest).await.is_err() {
        panic!(
            "there is something left: {:#?} {:#?} {:#?} {:#?}",
            manager.handler().status().await,
            manager.instances(None, 3).await,
            manager.pending_commands(None, 3).await,
            manager.handler().parked(None, 3).await
        );
    }
    let mut total = 0;
    for number in 0..ACCOUNTS {
        total += bank.aggregate_state::<BankAccount>(account(number)).await.unwrap().state.balance;
    }
    assert_eq!(total, ACCOUNTS as u64 * EACH);
}

/// Gives a coin for each payment, and would give another one if it were asked again.
#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct Rewards;

#[process_manager(name = "rewards", interested_in = [Paid], by = account_id)]
impl Rewards {
    #[on(start_or_continue)]
    fn on_paid(&mut self, event: &Paid, process: &mut Process) {
        if event.account_id != "rewards" {
            process.send(pay("rewards", 1));
        }
    }
}

application! {
    struct Rewarded {
        routers: [Desk],
        process_managers: [Rewards],
    }
}

/// Outcomes are forgotten after some time, events are not.
#[tokio::test]
async fn a_reset_repeats_nothing_that_was_carried_out_long_ago() {
    let schema = schema().await;
    let rewarded = Rewarded::builder(store(&schema).await).start().await.unwrap();
    for amount in 1..=5 {
        rewarded.dispatch(pay("a", amount)).await.unwrap();
    }
    settle(&rewarded).within(Duration::from_secs(60)).await;
    rewarded.shutdown().await;

    let forgetful = Schema::named(schema.name()).retention(Duration::ZERO);
    let config = PostgresConfig::new(schema.url()).schema(forgetful);
    let forgetful = PostgresStore::connect(config).await.unwrap();
    assert_eq!((forgetful.forget_appends().await.unwrap(), forgetful.head().await.unwrap()), (10, 10));
    let rewarded = Rewarded::builder(forgetful.clone()).start().await.unwrap();
    rewarded.process_manager("rewards").unwrap().handler().reset().await.unwrap();
    settle(&rewarded).within(Duration::from_secs(60)).await;
    assert_eq!(forgetful.head().await.unwrap(), 10, "nothing was done again");
    rewarded.dispatch(pay("a", 6)).await.unwrap();
    settle(&rewarded).within(Duration::from_secs(60)).await;
    assert_eq!(forgetful.head().await.unwrap(), 12, "what is new is done");
    rewarded.shutdown().await;
}

/// T-387, on Postgres.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t_387_transfers_move_money_or_leave_it() {
    let schema = schema().await;
    let bank = node(store(&schema).await, "a").await;
    open_accounts(&bank).await;
    for number in 0..100 {
        bank.dispatch(request(number)).await.unwrap();
    }
    check(&bank, 100).await;
    bank.shutdown().await;
}

/// G7, D7: the node that runs the process manager is cut off again and again, and another one goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_a_process_manager_moves_from_node_to_node() {
    let schema = schema().await;
    let first = node(store(&schema).await, "n0").await;
    open_accounts(&first).await;
    let mut nodes = vec![first];
    for round in 0..5_usize {
        nodes.push(node(store(&schema).await, &format!("n{}", round + 1)).await);
        for number in round * 20..(round + 1) * 20 {
            request_for_certain(nodes.last().unwrap(), number).await;
        }
        let last = nodes.remove(0);
        if round % 2 == 0 {
            in_time(last.shutdown()).await;
        } else {
            // Nobody waits for it, and commands that are on their way are cut off.
            drop(last);
        }
    }
    check(&nodes[0], 100).await;
    nodes.remove(0).shutdown().await;
}

/// G7: the server is restarted in the middle, without warning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_a_process_manager_outlives_its_server() {
    let server = TestServer::builder().durable().start().await.unwrap();
    let schema = TestSchema::new(&server);
    let bank = node(store(&schema).await, "a").await;
    open_accounts(&bank).await;
    for round in 0..4 {
        for number in round * 25..(round + 1) * 25 {
            request_for_certain(&bank, number).await;
        }
        server.stop(StopMode::Immediate).await.unwrap();
        server.start_again().await.unwrap();
    }
    check(&bank, 100).await;
    bank.shutdown().await;
}

/// G7: 10,000 events come again, and no command is carried out twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_ten_thousand_events_come_again_and_no_money_moves() {
    const TRANSFERS: usize = 2_500;
    let schema = schema().await;
    let store = store(&schema).await;
    let bank = node(store.clone(), "a").await;
    open_accounts(&bank).await;
    let requested = stream::iter(0..TRANSFERS).map(|number| bank.dispatch(request(number)).into_future());
    let requested: Vec<_> = requested.buffer_unordered(64).collect().await;
    assert!(requested.iter().all(Result::is_ok));
    check(&bank, TRANSFERS).await;
    let head = store.head().await.unwrap();
    assert!(head >= 10_000, "{head}");
    let manager = bank.process_manager("money-transfer").unwrap();
    let position = async || manager.handler().status().await.unwrap().position;
    manager.handler().reset().await.unwrap();
    in_time(async { while position().await == head {} }).await;
    // On a busy machine that takes its time.
    settle(&bank).within(Duration::from_secs(600)).await;
    assert_eq!(position().await, head);
    check(&bank, TRANSFERS).await;
    assert_eq!(store.head().await.unwrap(), head);
    bank.shutdown().await;
}
