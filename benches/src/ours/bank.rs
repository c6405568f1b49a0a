//! The bank as it is used: commands to a running application.

use cqrs::postgres::{PostgresStore, Schema};

use crate::domain::{self, BankAccount};
use crate::ours::fill::fill;
use crate::ours::log::{self, COUNT, FAULTS};
use crate::point::BoxError;
use crate::postgres::{Database, Fill, OnPostgres, Rehydrate};
use crate::workload::Teller;

#[derive(Clone, Debug)]
pub(super) struct Bank {
    bank: domain::Bank,
    store: PostgresStore,
}

impl Bank {
    pub(super) async fn start(store: PostgresStore) -> Result<Self, BoxError> {
        Ok(Self { bank: domain::Bank::builder(store.clone()).start().await?, store })
    }
}

impl Teller for Bank {
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        self.bank.open(account_id, owner).await
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.bank.deposit(account_id, amount).await
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.bank.withdraw(account_id, amount).await
    }
}

impl OnPostgres for Bank {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        Self::start(log::open(database, Schema::default()).await?).await
    }

    async fn close(self) {
        self.bank.shutdown().await;
        self.store.pool().close().await;
    }
}

impl Fill for Bank {
    async fn fill(&self, account_id: String, deposits: usize) -> Result<(), BoxError> {
        fill(&self.store, account_id, deposits).await
    }
}

impl Rehydrate for Bank {
    async fn rehydrate(&self, account_id: String) -> Result<u64, BoxError> {
        Ok(self.bank.aggregate_state::<BankAccount>(account_id).await?.state.balance())
    }
}
