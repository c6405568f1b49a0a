//! The bank that the benchmarked commands are for, the same for every subject.

use std::sync::atomic::{AtomicU64, Ordering};

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "bench.AccountOpened")]
pub(crate) struct AccountOpened {
    pub(crate) account_id: String,
    pub(crate) owner: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "bench.MoneyDeposited")]
pub(crate) struct MoneyDeposited {
    pub(crate) account_id: String,
    pub(crate) amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "bench.MoneyWithdrawn")]
pub(crate) struct MoneyWithdrawn {
    pub(crate) account_id: String,
    pub(crate) amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = BankAccount, identify_by = account_id)]
pub(crate) struct Open {
    pub(crate) account_id: String,
    pub(crate) owner: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = BankAccount, identify_by = account_id)]
pub(crate) struct Deposit {
    pub(crate) account_id: String,
    pub(crate) amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = BankAccount, identify_by = account_id)]
pub(crate) struct Withdraw {
    pub(crate) account_id: String,
    pub(crate) amount: u64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum BankError {
    #[error("the account is open already")]
    AlreadyOpen,
    #[error("the account is not open")]
    NotOpen,
    #[error("the balance is {balance}")]
    InsufficientFunds { balance: u64 },
}

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub(crate) struct BankAccount {
    owner: Option<String>,
    balance: u64,
}

impl BankAccount {
    pub(crate) fn balance(&self) -> u64 {
        self.balance
    }
}

#[aggregate(stream_prefix = "account", error = BankError)]
impl BankAccount {
    #[execute]
    pub(crate) fn open(&self, command: &Open) -> Result<AccountOpened, BankError> {
        if self.owner.is_some() {
            return Err(BankError::AlreadyOpen);
        }
        let Open { account_id, owner } = command.clone();
        Ok(AccountOpened { account_id, owner })
    }

    #[execute]
    pub(crate) fn deposit(&self, command: &Deposit) -> Result<MoneyDeposited, BankError> {
        if self.owner.is_none() {
            return Err(BankError::NotOpen);
        }
        let Deposit { account_id, amount } = command.clone();
        Ok(MoneyDeposited { account_id, amount })
    }

    #[execute]
    pub(crate) fn withdraw(&self, command: &Withdraw) -> Result<MoneyWithdrawn, BankError> {
        let balance = self.balance;
        if balance < command.amount {
            return Err(BankError::InsufficientFunds { balance });
        }
        let Withdraw { account_id, amount } = command.clone();
        Ok(MoneyWithdrawn { account_id, amount })
    }

    #[apply]
    pub(crate) fn opened(&mut self, event: &AccountOpened) {
        self.owner = Some(event.owner.clone());
    }

    #[apply]
    pub(crate) fn deposited(&mut self, event: &MoneyDeposited) {
        self.balance += event.amount;
    }

    #[apply]
    pub(crate) fn withdrawn(&mut self, event: &MoneyWithdrawn) {
        self.balance -= event.amount;
    }
}

/// Counts commands: the one layer of middleware that every dispatch passes.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    begun: AtomicU64,
    done: AtomicU64,
}

impl Middleware for Counting {
    async fn before_dispatch(&self, _context: &mut DispatchContext) -> Result<(), Halt> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn after_dispatch(&self, _context: &mut DispatchContext, _outcome: &DispatchOutcome) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Router)]
#[router(middleware = [Counting])]
pub(crate) struct BankRouter;

application! {
    /// The benchmarked application.
    pub(crate) struct Bank {
        routers: [BankRouter],
    }
}
