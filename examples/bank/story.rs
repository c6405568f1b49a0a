//! The story that `cargo run --example bank` tells.

use std::error::Error;
use std::time::Duration;

use cqrs::prelude::*;
use cqrs::store::{EventFilter, Store};

use crate::application::{Balances, Bank, Letters, Welcome};
use crate::domain::{BankAccount, BankError, CloseAccount, Deposit, OpenAccount, Withdraw};
use crate::transfer::{Progress, RequestTransfer, Transfer};

pub async fn tell(store: impl Store + Clone, place: &str, account_id: &str) -> Result<(), Box<dyn Error>> {
    let letters = Letters::default();
    let before = store.head().await?;
    let id = || account_id.to_owned();

    let balances = Balances::default();
    let bank = Bank::builder(store.clone())
        .event_handler(Welcome::new(letters.clone()))
        .projection(balances.clone())
        .start()
        .await?;
    println!("A bank opens, on {place}. Its log holds {before} events.");

    println!("\nAda opens an account. The dispatch waits until the welcome handler has handled the event.");
    let open = OpenAccount { account_id: id(), owner: "Ada".to_owned() };
    let opened = bank.dispatch(open).consistency(Strong).await?;
    println!("  event     {:?}", opened.events()[0]);
    letters.take().iter().for_each(|letter| println!("  letter    {letter}"));

    println!("\nShe deposits 100 and withdraws 10.");
    for outcome in [
        bank.dispatch(Deposit { account_id: id(), amount: 100, transfer_id: None }).await?,
        bank.dispatch(Withdraw { account_id: id(), amount: 10, transfer_id: None }).await?,
    ] {
        println!(
            "  version {} balance {:3}  {:?}",
            outcome.version(),
            outcome.state().balance,
            outcome.events()[0]
        );
    }

    println!("\nThe read model knows what all accounts hold, as soon as it has come to the last event.");
    let last = bank.store().head().await?;
    let rows = bank.projection::<Balances>().ok_or("the bank has a read model")?;
    rows.at_least(last, Duration::from_secs(5)).await?;
    let (accounts, total) = balances.total();
    println!("  balances  {total} in {accounts} open accounts");

    println!("\nShe tries to withdraw 1000. The bank's own, typed error comes back, and nothing is stored.");
    match bank.dispatch(Withdraw { account_id: id(), amount: 1000, transfer_id: None }).await {
        Err(DispatchError::Rejected(BankError::InsufficientFunds { balance, requested })) => {
            println!("  refused   {requested} requested, {balance} there");
        }
        other => return Err(format!("expected a refusal, got {other:?}").into()),
    }

    println!("\nA deposit of nothing is wrong by itself, and does not even reach the account.");
    match bank.dispatch(Deposit { account_id: id(), amount: 0, transfer_id: None }).await {
        Err(DispatchError::Invalid { errors, .. }) => println!("  invalid   {errors}"),
        other => return Err(format!("expected invalid fields, got {other:?}").into()),
    }

    transfers(&bank, account_id, &letters).await?;

    println!("\nThe bank is shut down, and started again on the same store.");
    println!("  shutdown  {}", bank.shutdown().await);
    let bank = Bank::builder(store.clone()).event_handler(Welcome::new(letters.clone())).start().await?;
    let account = bank.aggregate_state::<BankAccount>(account_id).await?;
    println!("  state     {:?} at version {}", account.state, account.version);

    println!(
        "\nAda withdraws the rest and closes the account. No second welcome was sent: {:?}",
        letters.take()
    );
    let rest = Withdraw { account_id: id(), amount: account.state.balance, transfer_id: None };
    bank.dispatch(rest).expected_version(account.version).await?;
    bank.dispatch(CloseAccount { account_id: id() }).await?;

    println!("\nAll this has added to the log:");
    for event in store.read_log(before, &EventFilter::all(), 100).await?.events {
        let data = String::from_utf8_lossy(&event.data);
        println!(
            "  {:2}  {:<20} {:2}  {:<17} {data}",
            event.position, event.stream_id, event.stream_version, event.event_type
        );
    }
    bank.shutdown().await;
    Ok(())
}

/// One transfer that arrives, and one that does not.
async fn transfers(bank: &Bank, from: &str, letters: &Letters) -> Result<(), Box<dyn Error>> {
    let to = format!("{from}-bob");
    println!("\nBob opens an account, and Ada transfers 25 to it. She also tries to transfer 5 to nobody.");
    let open = OpenAccount { account_id: to.clone(), owner: "Bob".to_owned() };
    bank.dispatch(open).consistency(Strong).await?;
    letters.take().iter().for_each(|letter| println!("  letter    {letter}"));
    for (transfer_id, to, amount) in [("gift", to.clone(), 25), ("mistake", format!("{from}-nobody"), 5)] {
        let transfer_id = format!("{from}-{transfer_id}");
        let request = RequestTransfer { transfer_id: transfer_id.clone(), from: from.to_owned(), to, amount };
        bank.dispatch(request).await?;
        let end = ended(bank, &transfer_id).await?;
        println!("  transfer  {end:?}");
    }
    for account in [from, &to] {
        let state = bank.aggregate_state::<BankAccount>(account).await?.state;
        println!("  balance   {:3} of {}", state.balance, state.owner);
    }
    Ok(())
}

/// Waits until a transfer has ended.
async fn ended(bank: &Bank, transfer_id: &str) -> Result<Progress, Box<dyn Error>> {
    loop {
        let transfer = bank.aggregate_state::<Transfer>(transfer_id).await?;
        match &transfer.state.progress {
            Progress::UnderWay => tokio::time::sleep(Duration::from_millis(10)).await,
            end => return Ok(end.clone()),
        }
    }
}
