//! How a subject is made ready for a metric.

use std::pin::Pin;

use crate::point::{BoxError, Effort, Metric};
use crate::postgres::contender::{Banking, CatchingUp, Contender, Rehydration, Throughput};
use crate::postgres::{Calls, CatchUp, Database, Fill, OnPostgres, Rehydrate};
use crate::workload::{Teller, account_id};

/// A subject that is ready.
pub(crate) struct Ready {
    pub(super) contender: Box<dyn Contender>,
    /// Counts its events.
    pub(super) count: &'static str,
    /// Counts the faults of its log.
    pub(super) faults: Option<&'static str>,
    pub(super) close: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Ready {
    /// A subject, and how it is measured.
    pub(crate) fn of<S: OnPostgres>(subject: S, contender: impl Contender + 'static) -> Self {
        Self {
            contender: Box::new(contender),
            count: S::COUNT,
            faults: S::FAULTS,
            close: Box::pin(subject.close()),
        }
    }
}

/// What is measured, how thoroughly and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course<'a> {
    metric: Metric,
    effort: Effort,
    database: &'a Database,
}

impl<'a> Course<'a> {
    pub(super) fn new(metric: Metric, effort: Effort, database: &'a Database) -> Self {
        Self { metric, effort, database }
    }

    pub(crate) fn metric(self) -> Metric {
        self.metric
    }

    pub(crate) fn effort(self) -> Effort {
        self.effort
    }

    pub(crate) fn database(self) -> &'a Database {
        self.database
    }

    /// A subject whose calls are counted.
    pub(crate) async fn calls<C: Calls + OnPostgres>(self) -> Result<Ready, BoxError> {
        let calls = C::set_up(self.database).await?;
        Ok(Ready::of(calls.clone(), Throughput::new(self.metric, calls, 0)))
    }

    /// A bank with open accounts.
    pub(crate) async fn banking<T: Teller + OnPostgres>(self) -> Result<Ready, BoxError> {
        let accounts = match self.metric {
            Metric::DispatchHot => 16,
            _ => self.effort.pick(1_000, 10_000),
        };
        let teller = T::set_up(self.database).await?;
        let banking = Banking::open(teller.clone(), accounts, self.metric).await?;
        Ok(Ready::of(teller, Throughput::new(self.metric, banking, accounts)))
    }

    /// One account with many events.
    pub(crate) async fn rehydration<T: Rehydrate>(self) -> Result<Ready, BoxError> {
        let events = self.effort.pick(2_000, 10_000);
        let subject = self.filled::<T>(1, events).await?;
        Ok(Ready::of(subject.clone(), Rehydration { subject, events }))
    }

    /// A log of many events.
    pub(crate) async fn catching_up<T: CatchUp>(self) -> Result<Ready, BoxError> {
        let (accounts, each) = (self.effort.pick(5, 50), 1_000);
        let subject = self.filled::<T>(accounts, each).await?;
        Ok(Ready::of(subject.clone(), CatchingUp { subject, events: accounts * each }))
    }

    /// A subject with that many accounts of that many events each.
    async fn filled<T: Fill>(self, accounts: usize, events: usize) -> Result<T, BoxError> {
        let subject = T::set_up(self.database).await?;
        for account in 0..accounts {
            subject.fill(account_id(account), events - 1).await?;
        }
        Ok(subject)
    }
}
