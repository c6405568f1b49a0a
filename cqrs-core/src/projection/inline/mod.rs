//! Rows that are written in the transaction in which the events are appended.
//!
//! A store that can do this implements [`InlineAppend`](crate::store::InlineAppend); it is given the projections whose
//! rows go with an append as [`InlineProjection`]s, which do not tell their types.

mod error;
mod projection;
mod work;

pub use error::{InlineError, RowsNotReady};
pub use projection::InlineProjection;

pub(crate) use work::InlineSource;
