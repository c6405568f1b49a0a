//! What a bank is about: events, commands and the rules between them. No input or output happens here.

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use super::application::BankRouter;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct AccountOpened {
    pub account_id: String,
    pub owner: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct MoneyDeposited {
    pub account_id: String,
    pub amount: u64,
    pub balance: u64,
    /// The transfer that it belongs to, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_id: Option<String>,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct MoneyWithdrawn {
    pub account_id: String,
    pub amount: u64,
    pub balance: u64,
    /// The transfer that it belongs to, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_id: Option<String>,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct AccountClosed {
    pub account_id: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = BankAccount, identify_by = account_id, validate)]
pub struct OpenAccount {
    pub account_id: String,
    pub owner: String,
}

impl OpenAccount {
    fn validate(&self) -> Result<(), ValidationErrors> {
        ValidationErrors::new()
            .check(!self.owner.trim().is_empty(), "owner", "must not be empty")
            .into_result()
    }
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = BankAccount, identify_by = account_id, validate)]
pub struct Deposit {
    pub account_id: String,
    pub amount: u64,
    #[serde(default)]
    pub transfer_id: Option<String>,
}

impl Deposit {
    fn validate(&self) -> Result<(), ValidationErrors> {
        positive(self.amount)
    }
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = BankAccount, identify_by = account_id, validate)]
pub struct Withdraw {
    pub account_id: String,
    pub amount: u64,
    #[serde(default)]
    pub transfer_id: Option<String>,
}

impl Withdraw {
    fn validate(&self) -> Result<(), ValidationErrors> {
        positive(self.amount)
    }
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = BankAccount, identify_by = account_id)]
pub struct CloseAccount {
    pub account_id: String,
}

fn positive(amount: u64) -> Result<(), ValidationErrors> {
    ValidationErrors::new().check(amount > 0, "amount", "must be positive").into_result()
}

/// An account, as its events made it.
#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct BankAccount {
    pub status: Status,
    pub owner: String,
    pub balance: u64,
}

#[derive(Default, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    #[default]
    NotOpened,
    Open,
    Closed,
}

/// Why the bank says no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BankError {
    #[error("the account was opened before")]
    AlreadyOpened,
    #[error("there is no such account")]
    NotFound,
    #[error("the account is closed")]
    Closed,
    #[error("the balance is {balance}, {requested} cannot be withdrawn")]
    InsufficientFunds { balance: u64, requested: u64 },
    #[error("the balance is {balance}: withdraw it before the account is closed")]
    NotEmpty { balance: u64 },
    #[error("the account cannot hold that much")]
    TooMuch,
    #[error("the transfer is not at this step")]
    WrongStep,
}

#[aggregate(stream_prefix = "account", error = BankError, snapshot_every = 100)]
impl BankAccount {
    #[execute]
    fn open(&self, command: &OpenAccount) -> Result<AccountOpened, BankError> {
        match self.status {
            Status::NotOpened => Ok(AccountOpened {
                account_id: command.account_id.clone(),
                owner: command.owner.trim().to_owned(),
            }),
            Status::Open => Err(BankError::AlreadyOpened),
            Status::Closed => Err(BankError::Closed),
        }
    }

    #[execute]
    fn deposit(&self, command: &Deposit) -> Result<MoneyDeposited, BankError> {
        self.must_be_open()?;
        let Deposit { account_id, amount, transfer_id } = command.clone();
        let balance = self.balance.checked_add(amount).ok_or(BankError::TooMuch)?;
        Ok(MoneyDeposited { account_id, amount, balance, transfer_id })
    }

    #[execute]
    fn withdraw(&self, command: &Withdraw) -> Result<MoneyWithdrawn, BankError> {
        self.must_be_open()?;
        let Withdraw { account_id, amount, transfer_id } = command.clone();
        let refused = BankError::InsufficientFunds { balance: self.balance, requested: amount };
        let balance = self.balance.checked_sub(amount).ok_or(refused)?;
        Ok(MoneyWithdrawn { account_id, amount, balance, transfer_id })
    }

    #[execute]
    fn close(&self, command: &CloseAccount) -> Result<AccountClosed, BankError> {
        self.must_be_open()?;
        if self.balance > 0 {
            return Err(BankError::NotEmpty { balance: self.balance });
        }
        Ok(AccountClosed { account_id: command.account_id.clone() })
    }

    #[apply]
    fn opened(&mut self, event: &AccountOpened) {
        self.status = Status::Open;
        self.owner.clone_from(&event.owner);
    }

    #[apply]
    fn deposited(&mut self, event: &MoneyDeposited) {
        self.balance = event.balance;
    }

    #[apply]
    fn withdrawn(&mut self, event: &MoneyWithdrawn) {
        self.balance = event.balance;
    }

    #[apply]
    fn closed(&mut self, _event: &AccountClosed) {
        self.status = Status::Closed;
    }
}

impl BankAccount {
    fn must_be_open(&self) -> Result<(), BankError> {
        match self.status {
            Status::NotOpened => Err(BankError::NotFound),
            Status::Open => Ok(()),
            Status::Closed => Err(BankError::Closed),
        }
    }
}
