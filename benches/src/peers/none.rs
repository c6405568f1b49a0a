//! What stands in for the peers on Postgres when they are not built.

use crate::point::{BoxError, Subject};
use crate::postgres::{Course, Ready};

pub(crate) const ALL: [Subject; 0] = [];
pub(crate) const WITH_HANDLERS: [Subject; 0] = [];

/// Refuses, since there is none.
pub(crate) async fn set_up(subject: Subject, _course: Course<'_>) -> Result<Ready, BoxError> {
    Err(format!("{subject} is not built: the feature `peers` is off").into())
}
