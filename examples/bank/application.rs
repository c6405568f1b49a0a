//! What belongs together: the router that carries the commands, who reacts to events, the read model, the application.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use cqrs::middleware::RequestLog;
use cqrs::prelude::*;

use crate::domain::{AccountClosed, AccountOpened, MoneyDeposited, MoneyWithdrawn};
use crate::transfer::MoneyTransfer;

#[derive(Router)]
pub struct BankRouter;

application! {
    /// A bank: its own log, its own handlers.
    pub struct Bank {
        routers: [BankRouter],
        event_handlers: [Welcome],
        projections: [Balances],
        process_managers: [MoneyTransfer],
        middleware: [RequestLog],
    }
}

/// Welcomes each new owner, once, even when the bank is restarted.
pub struct Welcome {
    letters: Letters,
}

/// What each open account holds, for questions about many of them. It lies in memory, and is made anew at each start.
#[derive(Clone, Default)]
pub struct Balances {
    rows: MemoryRows<String, u64>,
}

#[projection(
    name = "balances",
    interested_in = [AccountOpened, MoneyDeposited, MoneyWithdrawn, AccountClosed],
    consistency = strong
)]
impl Balances {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.rows
    }

    fn on_opened(&self, event: &AccountOpened, rows: &mut RowsMut<String, u64>) {
        rows.insert(event.account_id.clone(), 0);
    }

    fn on_deposited(&self, event: &MoneyDeposited, rows: &mut RowsMut<String, u64>) {
        rows.insert(event.account_id.clone(), event.balance);
    }

    fn on_withdrawn(&self, event: &MoneyWithdrawn, rows: &mut RowsMut<String, u64>) {
        rows.insert(event.account_id.clone(), event.balance);
    }

    fn on_closed(&self, event: &AccountClosed, rows: &mut RowsMut<String, u64>) {
        rows.remove(event.account_id.clone());
    }
}

impl Balances {
    /// How many accounts there are, and what they hold together.
    pub fn total(&self) -> (usize, u64) {
        self.rows.read(|rows| (rows.len(), rows.values().sum()))
    }
}

/// Where the letters go; a real bank would send mail.
#[derive(Clone, Default)]
pub struct Letters(Arc<Mutex<Vec<String>>>);

impl Welcome {
    pub fn new(letters: Letters) -> Self {
        Self { letters }
    }
}

#[event_handler(name = "welcome", interested_in = [AccountOpened], start_from = origin, consistency = strong)]
impl Welcome {
    async fn on_opened(&self, event: &AccountOpened, context: &EventContext) -> Result<(), Infallible> {
        self.letters.send(format!("Welcome, {}! Your account is {}.", event.owner, context.aggregate_id()));
        Ok(())
    }
}

impl Letters {
    fn send(&self, letter: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
