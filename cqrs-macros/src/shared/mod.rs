//! What all macros share: reading keys and `impl` blocks, collecting errors, paths into the facade.

pub(crate) mod batch;
pub(crate) mod case;
pub(crate) mod consistency;
pub(crate) mod consumer;
pub(crate) mod decision;
pub(crate) mod dispatch;
pub(crate) mod duration;
pub(crate) mod errors;
pub(crate) mod given;
pub(crate) mod handling;
pub(crate) mod impl_block;
pub(crate) mod keys;
pub(crate) mod lists;
pub(crate) mod names;
pub(crate) mod numbers;
pub(crate) mod on_error;
pub(crate) mod paths;
pub(crate) mod serde_keys;
pub(crate) mod set;
pub(crate) mod subscription;
#[cfg(test)]
pub(crate) mod testing;
