//! The testing kit (feature `testing`).
//!
//! [`conformance`] is the suite that every store adapter must pass.

pub mod conformance;
