//! New versions beside old ones, and the way back.

use cqrs::postgres::PostgresRows;
use cqrs::projection::GenerationState;

use super::domain::*;

/// A rolling deployment: the old node makes the old rows until the new ones are there; they are kept, and readers can be
/// given them back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_takes_over_and_is_taken_back() {
    let schema = schema().await;
    let stores = [store(&schema).await, store(&schema).await];
    let rows = stores.each_ref().map(PostgresRows::beside);
    let views = rows[0].schema_of("balances");
    let old = node("old", &stores[0], Balances::on(&rows[0])).await;
    pay_all(&old, &[("a", 1)]).await;
    let (fault, came, go) = Fault::hold();
    let new = Cents { rows: rows[1].clone(), faults: Faults::of(1, fault) };
    let new = node("new", &stores[1], new).await;
    arrival(&came).await;
    pay_all(&old, &[("a", 2)]).await;
    assert_eq!(account(&rows[0], "a").await, Some((3, 2)));
    go.add_permits(1);
    until_active(&rows[0], 2).await;
    pay_all(&new, &[("a", 3)]).await;
    pay_all(&old, &[("a", 4)]).await;
    assert_eq!(cents(rows[1].pool(), &views, "a").await, Some(1_000));
    assert_eq!(cents(rows[1].pool(), &format!("{views}_g1"), "a").await, None, "those are the old rows");

    new.projection::<Cents>().unwrap().roll_back().await.unwrap();
    until(async || (account(&rows[0], "a").await == Some((10, 4))).then_some(())).await;
    pay_all(&old, &[("a", 5)]).await;
    assert_eq!(account(&rows[0], "a").await, Some((15, 5)));
    assert_eq!(
        generations(&rows[0]).await,
        [(1, 1, GenerationState::Active), (2, 2, GenerationState::RolledBack)]
    );
    old.shutdown().await;
    new.shutdown().await;
}

/// The new rows come as far as the old ones also while much is written on the node that makes those.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_takes_over_under_live_writes() {
    let schema = schema().await;
    let stores = [store(&schema).await, store(&schema).await];
    let rows = stores.each_ref().map(PostgresRows::beside);
    let views = rows[0].schema_of("balances");
    let old = node("old", &stores[0], Balances::on(&rows[0])).await;
    pay_all(&old, &[("a", 1)]).await;
    let new = Cents { rows: rows[1].clone(), faults: Faults::default() };
    let new = node("new", &stores[1], new).await;
    let mut paid = 1;
    tokio::select! {
        () = until_active(&rows[1], 2) => {}
        () = async { loop {
            old.dispatch(pay("a", 1)).await.unwrap();
            paid += 1;
        } } => {}
    }
    pay_all(&new, &[("b", 1)]).await;
    let all = cents(rows[1].pool(), &views, "a").await.unwrap();
    assert!(all == 100 * paid || all == 100 * (paid + 1), "one may have been under way: {all} of {paid}");
    old.shutdown().await;
    new.shutdown().await;
}
