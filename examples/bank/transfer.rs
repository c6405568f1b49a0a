//! Transfers: money goes from one account to another, or stays where it was.

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use super::application::BankRouter;
use super::domain::{BankError, Deposit, MoneyDeposited, MoneyWithdrawn, Withdraw};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct TransferRequested {
    pub transfer_id: String,
    pub from: String,
    pub to: String,
    pub amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct TransferCompleted {
    pub transfer_id: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct TransferFailed {
    pub transfer_id: String,
    pub reason: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = Transfer, identify_by = transfer_id)]
pub struct RequestTransfer {
    pub transfer_id: String,
    pub from: String,
    pub to: String,
    pub amount: u64,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = Transfer, identify_by = transfer_id)]
pub struct CompleteTransfer {
    pub transfer_id: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = BankRouter, aggregate = Transfer, identify_by = transfer_id)]
pub struct FailTransfer {
    pub transfer_id: String,
    pub reason: String,
}

/// A transfer, as its events made it.
#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Transfer {
    pub progress: Progress,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    #[default]
    NotRequested,
    UnderWay,
    Completed,
    Failed(String),
}

#[aggregate(stream_prefix = "transfer", error = BankError)]
impl Transfer {
    #[execute]
    fn request(&self, command: &RequestTransfer) -> Result<TransferRequested, BankError> {
        self.must_be(&Progress::NotRequested)?;
        let RequestTransfer { transfer_id, from, to, amount } = command.clone();
        Ok(TransferRequested { transfer_id, from, to, amount })
    }

    #[execute]
    fn complete(&self, command: &CompleteTransfer) -> Result<TransferCompleted, BankError> {
        self.must_be(&Progress::UnderWay)?;
        Ok(TransferCompleted { transfer_id: command.transfer_id.clone() })
    }

    #[execute]
    fn fail(&self, command: &FailTransfer) -> Result<TransferFailed, BankError> {
        self.must_be(&Progress::UnderWay)?;
        let FailTransfer { transfer_id, reason } = command.clone();
        Ok(TransferFailed { transfer_id, reason })
    }

    #[apply]
    fn requested(&mut self, _event: &TransferRequested) {
        self.progress = Progress::UnderWay;
    }

    #[apply]
    fn completed(&mut self, _event: &TransferCompleted) {
        self.progress = Progress::Completed;
    }

    #[apply]
    fn failed(&mut self, event: &TransferFailed) {
        self.progress = Progress::Failed(event.reason.clone());
    }
}

impl Transfer {
    fn must_be(&self, progress: &Progress) -> Result<(), BankError> {
        if self.progress == *progress { Ok(()) } else { Err(BankError::WrongStep) }
    }
}

/// Takes a transfer through its steps: withdraw here, deposit there, say so. When a step is refused, the ones before
/// it are undone.
#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct MoneyTransfer {
    to: String,
}

#[process_manager(
    name = "money-transfer",
    interested_in = [TransferRequested, MoneyWithdrawn, MoneyDeposited, TransferCompleted],
    by = transfer_id,
    error = std::convert::Infallible,
)]
impl MoneyTransfer {
    #[on(start)]
    fn on_requested(&mut self, event: &TransferRequested, process: &mut Process) {
        let TransferRequested { transfer_id, from, to, amount } = event.clone();
        self.to = to;
        let transfer_id = Some(transfer_id);
        let back = Deposit { account_id: from.clone(), amount, transfer_id: transfer_id.clone() };
        process.send(Withdraw { account_id: from, amount, transfer_id }).compensate(back);
    }

    // Money is also withdrawn and deposited at the counter, without a transfer.
    #[on(continue, each = transfer_id)]
    fn on_withdrawn(&mut self, event: &MoneyWithdrawn, process: &mut Process) {
        let transfer_id = event.transfer_id.clone();
        process.send(Deposit { account_id: self.to.clone(), amount: event.amount, transfer_id });
    }

    #[on(continue, each = transfer_id)]
    fn on_deposited(&mut self, _event: &MoneyDeposited, process: &mut Process) {
        let transfer_id = process.instance().to_owned();
        process.send(CompleteTransfer { transfer_id });
    }

    #[on(stop)]
    fn on_completed(&mut self, _event: &TransferCompleted) {}

    fn on_error(
        &mut self,
        failure: &ProcessFailure<std::convert::Infallible>,
        process: &mut Process,
    ) -> ProcessAction {
        let ProcessError::Command { source, .. } = &failure.error else {
            return ProcessAction::Park;
        };
        match &**source {
            DispatchError::Rejected(reason) if !failure.is_compensating => {
                let transfer_id = process.instance().to_owned();
                process.send(FailTransfer { transfer_id, reason: reason.to_string() });
                ProcessAction::Compensate
            }
            _ => RetryPolicy::default().decide(failure).into(),
        }
    }
}
