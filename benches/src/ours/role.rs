//! What a process does that is started for a measurement on Postgres.

use clap::Subcommand;
use url::Url;

use crate::child;
use crate::ours::{memory, tenants, two_processes};
use crate::point::BoxError;
use crate::postgres::Database;
use crate::workload::two_workers;

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Role {
    /// Runs a load whenever it is told to.
    Load { url: Url, number: usize, accounts: usize },
    /// Runs a load, and tells how much memory that took.
    Memory { url: Url, slice: usize, callers: usize, millis: u64 },
    /// Starts applications, and tells how long that took.
    Tenants { url: Url, slice: usize, tenants: usize },
}

impl Role {
    pub(crate) fn play(self) -> Result<(), BoxError> {
        two_workers()?.block_on(async {
            match self {
                Self::Load { url, number, accounts } => {
                    two_processes::serve(&Database::at(url), number, accounts).await
                }
                Self::Memory { url, slice, callers, millis } => {
                    child::tell(memory::measure(&Database::at(url), slice, callers, millis).await?)
                }
                Self::Tenants { url, slice, tenants } => {
                    child::tell(tenants::measure(&url, slice, tenants).await?)
                }
            }
        })
    }
}
