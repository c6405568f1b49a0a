//! T-387: money is moved between two accounts, or stays where it was.

use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::testing::settle;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "transfer.Opened")]
struct Opened {
    account: String,
    amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "transfer.Closed")]
struct Closed {
    account: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "transfer.Requested")]
struct Requested {
    transfer: String,
    from: String,
    to: String,
    amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "transfer.Withdrawn")]
struct Withdrawn {
    transfer: String,
    amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "transfer.Deposited")]
struct Deposited {
    transfer: String,
    amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "transfer.Ended")]
struct Ended {
    transfer: String,
    is_done: bool,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = MoneyRouter, aggregate = Account, identify_by = account)]
struct Open {
    account: String,
    amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = MoneyRouter, aggregate = Account, identify_by = account)]
struct Close {
    account: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = MoneyRouter, aggregate = Account, identify_by = account)]
struct Withdraw {
    account: String,
    transfer: String,
    amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = MoneyRouter, aggregate = Account, identify_by = account)]
struct Deposit {
    account: String,
    transfer: String,
    amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = MoneyRouter, aggregate = Transfer, identify_by = transfer)]
struct Request {
    transfer: String,
    from: String,
    to: String,
    amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = MoneyRouter, aggregate = Transfer, identify_by = transfer)]
struct End {
    transfer: String,
    is_done: bool,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
enum Refused {
    #[error("not enough money")]
    NotEnough,
    #[error("closed")]
    Closed,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct Account {
    is_open: bool,
    balance: u64,
}

#[aggregate(stream_prefix = "account", error = Refused)]
impl Account {
    #[execute]
    fn open(&self, command: &Open) -> Opened {
        Opened { account: command.account.clone(), amount: command.amount }
    }

    #[execute]
    fn close(&self, command: &Close) -> Closed {
        Closed { account: command.account.clone() }
    }

    #[execute]
    fn withdraw(&self, command: &Withdraw) -> Result<Withdrawn, Refused> {
        let Withdraw { transfer, amount, .. } = command.clone();
        if self.balance < amount { Err(Refused::NotEnough) } else { Ok(Withdrawn { transfer, amount }) }
    }

    #[execute]
    fn deposit(&self, command: &Deposit) -> Result<Deposited, Refused> {
        let Deposit { transfer, amount, .. } = command.clone();
        if self.is_open { Ok(Deposited { transfer, amount }) } else { Err(Refused::Closed) }
    }

    #[apply]
    fn opened(&mut self, event: &Opened) {
        (self.is_open, self.balance) = (true, event.amount);
    }

    #[apply]
    fn closed(&mut self, _event: &Closed) {
        self.is_open = false;
    }

    #[apply]
    fn withdrawn(&mut self, event: &Withdrawn) {
        self.balance -= event.amount;
    }

    #[apply]
    fn deposited(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct Transfer {
    end: Option<bool>,
}

#[aggregate(stream_prefix = "transfer")]
impl Transfer {
    #[execute]
    fn request(&self, command: &Request) -> Requested {
        let Request { transfer, from, to, amount } = command.clone();
        Requested { transfer, from, to, amount }
    }

    #[execute]
    fn end(&self, command: &End) -> Ended {
        Ended { transfer: command.transfer.clone(), is_done: command.is_done }
    }

    #[apply]
    fn requested(&mut self, _event: &Requested) {}

    #[apply]
    fn ended(&mut self, event: &Ended) {
        assert_eq!(self.end, None, "a transfer ends once");
        self.end = Some(event.is_done);
    }
}

#[derive(Router)]
struct MoneyRouter;

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
struct MoneyTransfer {
    to: String,
}

#[process_manager(
    name = "money-transfer",
    interested_in = [Requested, Withdrawn, Deposited, Ended],
    by = transfer,
)]
impl MoneyTransfer {
    #[on(start)]
    fn on_requested(&mut self, event: &Requested, process: &mut Process) {
        let Requested { transfer, from, to, amount } = event.clone();
        self.to = to;
        let undo = Deposit { account: from.clone(), transfer: transfer.clone(), amount };
        process.send(Withdraw { account: from, transfer, amount }).compensate(undo);
    }

    #[on(continue)]
    fn on_withdrawn(&mut self, event: &Withdrawn, process: &mut Process) {
        let Withdrawn { transfer, amount } = event.clone();
        process.send(Deposit { account: self.to.clone(), transfer, amount });
    }

    #[on(continue)]
    fn on_deposited(&mut self, event: &Deposited, process: &mut Process) {
        process.send(End { transfer: event.transfer.clone(), is_done: true });
    }

    #[on(stop)]
    fn on_ended(&mut self, _event: &Ended) {}

    fn on_error(
        &mut self,
        failure: &ProcessFailure<std::convert::Infallible>,
        process: &mut Process,
    ) -> ProcessAction {
        process.send(End { transfer: failure.instance.clone(), is_done: false });
        ProcessAction::Compensate
    }
}

application! {
    struct Money {
        routers: [MoneyRouter],
        process_managers: [MoneyTransfer],
    }
}

async fn balance(money: &Money, account: &str) -> u64 {
    money.aggregate_state::<Account>(account).await.unwrap().state.balance
}

async fn end(money: &Money, transfer: &str) -> Option<bool> {
    money.aggregate_state::<Transfer>(transfer).await.unwrap().state.end
}

#[tokio::test]
async fn t_387_a_transfer_moves_money_or_leaves_it() {
    let money = Money::builder(MemoryStore::new()).start().await.unwrap();
    for account in ["a", "b", "closed"] {
        money.dispatch(Open { account: account.to_owned(), amount: 100 }).await.unwrap();
    }
    money.dispatch(Close { account: "closed".to_owned() }).await.unwrap();
    let request = |transfer: &str, to: &str, amount| {
        let (transfer, to) = (transfer.to_owned(), to.to_owned());
        money.dispatch(Request { transfer, from: "a".to_owned(), to, amount })
    };
    request("good", "b", 30).await.unwrap();
    request("too-much", "b", 1_000).await.unwrap();
    request("to-nobody", "closed", 50).await.unwrap();
    settle(&money).await;
    assert_eq!((balance(&money, "a").await, balance(&money, "b").await), (70, 130));
    assert_eq!(end(&money, "good").await, Some(true));
    assert_eq!(end(&money, "too-much").await, Some(false));
    assert_eq!(end(&money, "to-nobody").await, Some(false));
    assert!(money.process_manager("money-transfer").unwrap().instances(None, 10).await.unwrap().is_empty());
    money.shutdown().await;
}
