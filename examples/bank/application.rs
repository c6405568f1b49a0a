//! What belongs together: the router that carries the commands, the handler that reacts, the application.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use cqrs::middleware::RequestLog;
use cqrs::prelude::*;

use crate::domain::AccountOpened;

#[derive(Router)]
pub struct BankRouter;

application! {
    /// A bank: its own log, its own handlers.
    pub struct Bank {
        routers: [BankRouter],
        event_handlers: [Welcome],
        middleware: [RequestLog],
    }
}

/// Welcomes each new owner, once, even when the bank is restarted.
pub struct Welcome {
    letters: Letters,
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
