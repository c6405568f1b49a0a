//! The audit: a durable list of who dispatched which command, when, and how it ended.
//!
//! [`Audit`](crate::middleware::Audit) is the layer that writes it, [`AuditStore`] where it is kept and looked up.

mod query;
mod record;
mod store;

pub use query::{AuditQuery, AuditStatus};
pub use record::{AuditError, AuditOutcome, AuditRecord};
pub use store::AuditStore;
