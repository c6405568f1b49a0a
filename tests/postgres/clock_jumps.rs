//! An application's clock that jumps, on Postgres.

use std::time::Duration;

use cqrs::application::Config;
use cqrs::clock::Clock as _;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::testing::TestClock;
use tokio::sync::mpsc;

use crate::domain::{Bank, Statements, in_time, pay, schema, store};

const DAYS: Duration = Duration::from_secs(10 * 24 * 3_600);

/// A lease is counted by the server and by the node's monotonic time: whatever the clocks of applications show, it stays
/// where it is, and each event is handled once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_098_leases_do_not_depend_on_the_clocks_of_applications() {
    let schema = schema().await;
    let (told, mut hear) = mpsc::channel(1_000);
    let node = async |name: &'static str, clock: &TestClock| {
        let handler = Statements { node: name, told: told.clone() };
        let config = Config::new().lease_retry(Duration::from_millis(20));
        let builder = Bank::builder(store(&schema).await).node(name).clock(clock.clone()).config(config);
        builder.event_handler(handler).start().await.unwrap()
    };
    let clocks = [TestClock::new(), TestClock::new()];
    let (owner, other) = (node("owner", &clocks[0]).await, node("other", &clocks[1]).await);
    let start = clocks[0].now();
    for (round, jumps) in [(1, 0), (0, 1), (1, -1), (-2, 3), (0, 0)].into_iter().enumerate() {
        for (clock, jump) in clocks.iter().zip([jumps.0, jumps.1]) {
            clock.set(start + chrono::Duration::from_std(DAYS).unwrap() * jump);
        }
        for _ in 0..3 {
            in_time(other.dispatch(pay("a", 1)).consistency(Strong)).await.unwrap();
        }
        let handled: Vec<_> = std::iter::from_fn(|| hear.try_recv().ok()).collect();
        let first = 3 * round as u64 + 1;
        assert_eq!(handled, [("owner", first), ("owner", first + 1), ("owner", first + 2)]);
    }
    let handlers = owner.handlers().await.unwrap();
    assert_eq!(handlers[0].state, HandlerState::Running);
    owner.shutdown().await;
    other.shutdown().await;
}
