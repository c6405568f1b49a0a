//! How many transfers of money a process manager finishes: each takes three commands behind the one that requests it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cqrs::postgres::{PostgresStore, Schema};
use cqrs::prelude::*;
use tokio::sync::oneshot;

use crate::ours::log::{self, COUNT, FAULTS};
use crate::ours::money::application::BankRouter;
use crate::ours::money::domain::{Deposit, OpenAccount};
use crate::ours::money::transfer::{MoneyTransfer, RequestTransfer, TransferCompleted};
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Call, Calls, Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::workload::{account_id, per_second};

const ACCOUNTS: usize = 1_000;

/// How long a transfer may take.
const PATIENCE: Duration = Duration::from_secs(30);

application! {
    struct Money {
        routers: [BankRouter],
        process_managers: [MoneyTransfer],
    }
}

/// Those who wait for a transfer.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>;

/// Tells those who wait that their transfer is completed.
struct Bell(Waiting);

#[event_handler(name = "bell", interested_in = [TransferCompleted], start_from = current)]
impl Bell {
    async fn on_completed(&self, event: &TransferCompleted) -> Result<(), Infallible> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&event.transfer_id);
        if let Some(waiting) = waiting {
            let _ = waiting.send(());
        }
        Ok(())
    }
}

#[derive(Clone)]
pub(super) struct Transfers {
    money: Money,
    store: PostgresStore,
    waiting: Waiting,
    next: Arc<AtomicUsize>,
}

impl Transfers {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let own = Self::set_up(course.database()).await?;
        for account in 0..ACCOUNTS {
            let account_id = account_id(account);
            let open = OpenAccount { account_id: account_id.clone(), owner: "Ada".to_owned() };
            own.money.dispatch(open).await?;
            own.money.dispatch(Deposit { account_id, amount: 1_000_000, transfer_id: None }).await?;
        }
        Ok(Ready::of(own.clone(), own))
    }

    async fn transfer(&self) -> Result<(), BoxError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let transfer_id = format!("t-{number}");
        let (told, heard) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(transfer_id.clone(), told);
        let (from, to) = (account_id(number % ACCOUNTS), account_id((number * 7 + 1) % ACCOUNTS));
        self.money.dispatch(RequestTransfer { transfer_id, from, to, amount: 1 }).await?;
        tokio::time::timeout(PATIENCE, heard).await??;
        Ok(())
    }
}

impl Calls for Transfers {
    async fn call(&self, _call: Call) -> Result<usize, BoxError> {
        self.transfer().await?;
        Ok(1)
    }
}

#[async_trait]
impl Contender for Transfers {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let answered = slice.run(self).await?;
        let rate = per_second(answered.events, slice.length);
        Ok(vec![Value::new(Metric::Transfers, rate, "transfers/s")])
    }

    fn acknowledged(&self) -> usize {
        2 * ACCOUNTS + 4 * self.next.load(Ordering::Relaxed)
    }
}

impl OnPostgres for Transfers {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = log::open(database, Schema::default()).await?;
        let waiting = Waiting::default();
        let bell = Bell(Arc::clone(&waiting));
        let money = Money::builder(store.clone()).event_handler(bell).start().await?;
        Ok(Self { money, store, waiting, next: Arc::default() })
    }

    async fn close(self) {
        self.money.shutdown().await;
        self.store.pool().close().await;
    }
}
