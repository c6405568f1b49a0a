//! Which node a handler runs on: leases that an application instance holds, renews and gives back.

mod held;
mod leases;

pub(crate) use held::Lease;
pub(crate) use leases::Leases;
