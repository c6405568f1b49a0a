use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::aggregate::Environment;
use crate::projection::InlineProjection;
use crate::store::{Append, AppendError, Appended, StoreError};

/// How long appends wait for the rows of inline projections to become ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pauses in between double from the one to the other.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

impl Environment {
    /// Makes an append, and with it the rows of the inline projections that want its events.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let wanting = self.wanting(std::slice::from_ref(&append));
        if wanting.is_empty() {
            return self.store.append(append).await;
        }
        let mut all = self.append_inline(vec![append], &wanting).await?;
        all.pop().ok_or_else(|| StoreError::Failed("the append has no outcome".into()).into())
    }

    /// Makes several appends as one, and with them the rows of the inline projections that want their events. None of the
    /// outcomes is a repeated one.
    pub(crate) async fn append_all(&self, mut appends: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        if appends.len() == 1
            && let Some(append) = appends.pop()
        {
            let append_id = append.id;
            return match self.append(append).await? {
                appended if appended.repeated => Err(AppendError::AlreadyAppended { append_id }),
                appended => Ok(vec![appended]),
            };
        }
        let wanting = self.wanting(&appends);
        if wanting.is_empty() {
            return self.store.append_all(appends).await;
        }
        self.append_inline(appends, &wanting).await
    }

    fn wanting(&self, appends: &[Append]) -> Vec<Arc<InlineProjection>> {
        let wants = |one: &&Arc<InlineProjection>| appends.iter().any(|append| one.wants(append));
        self.inline.iter().filter(wants).cloned().collect()
    }

    async fn append_inline(
        &self,
        appends: Vec<Append>,
        projections: &[Arc<InlineProjection>],
    ) -> Result<Vec<Appended>, AppendError> {
        let Some(store) = self.store.inline() else {
            return Err(StoreError::Failed("the store cannot write rows with its appends".into()).into());
        };
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            match store.append_inline(appends.clone(), projections).await {
                Err(AppendError::NotProjected { projection, source })
                    if source.is_transient() && began.elapsed() < PATIENCE && !self.is_closed() =>
                {
                    tracing::debug!(
                        cqrs.projection = projection,
                        reason = &source as &dyn std::error::Error,
                        "an append waits for the rows of an inline projection"
                    );
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                appended => return appended,
            }
        }
    }
}
