//! The story that `cargo run --example bank` tells.

use std::error::Error;

use cqrs::prelude::*;
use cqrs::store::{EventFilter, Store};

use crate::application::{Bank, Letters, Welcome};
use crate::domain::{BankAccount, BankError, CloseAccount, Deposit, OpenAccount, Withdraw};

pub async fn tell(store: impl Store + Clone, place: &str, account_id: &str) -> Result<(), Box<dyn Error>> {
    let letters = Letters::default();
    let before = store.head().await?;
    let id = || account_id.to_owned();

    let bank = Bank::builder(store.clone()).event_handler(Welcome::new(letters.clone())).start().await?;
    println!("A bank opens, on {place}. Its log holds {before} events.");

    println!("\nAda opens an account. The dispatch waits until the welcome handler has handled the event.");
    let open = OpenAccount { account_id: id(), owner: "Ada".to_owned() };
    let opened = bank.dispatch(open).consistency(Strong).await?;
    println!("  event     {:?}", opened.events()[0]);
    letters.take().iter().for_each(|letter| println!("  letter    {letter}"));

    println!("\nShe deposits 100 and withdraws 10.");
    for outcome in [
        bank.dispatch(Deposit { account_id: id(), amount: 100 }).await?,
        bank.dispatch(Withdraw { account_id: id(), amount: 10 }).await?,
    ] {
        println!(
            "  version {} balance {:3}  {:?}",
            outcome.version(),
            outcome.state().balance,
            outcome.events()[0]
        );
    }

    println!("\nShe tries to withdraw 1000. The bank's own, typed error comes back, and nothing is stored.");
    match bank.dispatch(Withdraw { account_id: id(), amount: 1000 }).await {
        Err(DispatchError::Rejected(BankError::InsufficientFunds { balance, requested })) => {
            println!("  refused   {requested} requested, {balance} there");
        }
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }

    println!("\nA deposit of nothing is wrong by itself, and does not even reach the account.");
    match bank.dispatch(Deposit { account_id: id(), amount: 0 }).await {
        Err(DispatchError::Invalid { errors, .. }) => println!("  invalid   {errors}"),
        other => return Err(format!("expected invalid fields, got {other:?}").into()),
    }

    println!("\nThe bank is shut down, and started again on the same store.");
    println!("  shutdown  {}", bank.shutdown().await);
    let bank = Bank::builder(store.clone()).event_handler(Welcome::new(letters.clone())).start().await?;
    let account = bank.aggregate_state::<BankAccount>(account_id).await?;
    println!("  state     {:?} at version {}", account.state, account.version);

    println!(
        "\nAda withdraws the rest and closes the account. No second welcome was sent: {:?}",
        letters.take()
    );
    bank.dispatch(Withdraw { account_id: id(), amount: 90 }).expected_version(account.version).await?;
    bank.dispatch(CloseAccount { account_id: id() }).await?;

    println!("\nAll this has added to the log:");
    for event in store.read_log(before, &EventFilter::all(), 100).await?.events {
        let data = String::from_utf8_lossy(&event.data);
        println!(
            "  {:2}  {:<18} {:2}  {:<15} {data}",
            event.position, event.stream_id, event.stream_version, event.event_type
        );
    }
    bank.shutdown().await;
    Ok(())
}
