//! What a dispatch gives, when it fails, and what travels with it.

mod causation;
mod expected_version;
mod idempotency;
mod json;
mod lineage;
mod results;
mod timeouts;
