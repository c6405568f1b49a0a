use std::time::Duration;

use crate::middleware::{DispatchContext, Halt, Middleware};

/// Caps how long a command may take, whatever its caller asked for: 30 s unless set.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit {
    limit: Duration,
}

impl TimeLimit {
    /// Caps at `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit }
    }
}

impl Default for TimeLimit {
    fn default() -> Self {
        Self::new(Duration::from_secs(30))
    }
}

impl Middleware for TimeLimit {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        let limit = context.timeout().map_or(self.limit, |asked| asked.min(self.limit));
        context.set_timeout(limit);
        Ok(())
    }
}
