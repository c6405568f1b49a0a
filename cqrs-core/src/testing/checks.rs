use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use tokio::time::timeout;

use crate::event::EventSet;
use crate::store::RecordedEvent;
use crate::subscription::Follow;
use crate::testing::search::{SearchError, filter_of, matching, names, show};
use crate::testing::settle::describe;
use crate::testing::{EventProbe, ReceivedEvent, Settle};

/// Where a check stands in the test: panics inside a future have no place of their own.
type Caller = &'static Location<'static>;

impl EventProbe {
    pub(crate) async fn wait_at<E: EventSet>(
        &self,
        caller: Caller,
        matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) -> ReceivedEvent<E> {
        match timeout(self.limit, self.follow(matches)).await {
            Ok(Ok(received)) => received,
            Ok(Err(error)) => fail(caller, &error),
            Err(_) => panic!(
                "{caller}: no {} that matches came within {:?}; {}{}",
                names::<E>(),
                self.limit,
                self.scope.describe(&self.core).await,
                self.trouble().await
            ),
        }
    }

    pub(crate) async fn assert_at<E: EventSet>(
        &self,
        caller: Caller,
        matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) -> ReceivedEvent<E> {
        let found = self.settled(caller, true, matches).await;
        match found.into_iter().next() {
            Some(received) => received,
            None => panic!(
                "{caller}: no {} that matches was received; {}",
                names::<E>(),
                self.scope.describe(&self.core).await
            ),
        }
    }

    pub(crate) async fn refute_at<E: EventSet>(
        &self,
        caller: Caller,
        matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) {
        let found = self.settled(caller, true, matches).await;
        if let Some(received) = found.first() {
            panic!(
                "{caller}: an event came that must not: {:#?}\n    {}",
                received.event,
                show(&received.recorded)
            );
        }
    }

    pub(crate) async fn correlate_at<First: EventSet, Second: EventSet>(
        &self,
        caller: Caller,
        first: impl FnMut(&First, &RecordedEvent) -> bool,
        second: impl FnMut(&Second, &RecordedEvent) -> bool,
    ) -> (ReceivedEvent<First>, ReceivedEvent<Second>) {
        let firsts = self.settled(caller, false, first).await;
        let seconds = self.settled(caller, false, second).await;
        let (count, other_count) = (firsts.len(), seconds.len());
        for first in firsts {
            let correlation = first.recorded.correlation_id;
            let belongs = |second: &&ReceivedEvent<Second>| second.recorded.correlation_id == correlation;
            if let Some(second) = seconds.iter().find(belongs) {
                return (first, second.clone());
            }
        }
        panic!(
            "{caller}: {count} {} and {other_count} {} match, but no two have one correlation id; {}",
            names::<First>(),
            names::<Second>(),
            self.scope.describe(&self.core).await
        )
    }

    async fn follow<E: EventSet>(
        &self,
        mut matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) -> Result<ReceivedEvent<E>, SearchError> {
        let filter = filter_of::<E>(&self.core)?;
        let mut log = Follow::new(Arc::clone(&self.core.store), self.scope.after, filter);
        loop {
            let recorded = log.next().await?;
            if !self.scope.includes(&recorded) {
                continue;
            }
            let found = matching(&self.core, &recorded, &mut matches)?;
            if let Some(received) = found.into_iter().next() {
                return Ok(received);
            }
        }
    }

    /// The events that match once the application has settled: the first only, or all.
    async fn settled<E: EventSet>(
        &self,
        caller: Caller,
        first_only: bool,
        matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) -> Vec<ReceivedEvent<E>> {
        if let Err(error) = filter_of::<E>(&self.core) {
            fail(caller, &error);
        }
        let settle = Settle::of(Arc::clone(&self.core), caller).within(self.limit).without_all(&self.without);
        if let Err(error) = settle.check().await {
            fail(caller, &error);
        }
        match self.scope.find(&self.core, first_only, matches).await {
            Ok(found) => found,
            Err(error) => fail(caller, &error),
        }
    }

    /// What the handlers suffer from, as a possible reason.
    async fn trouble(&self) -> String {
        let head = self.core.store.head().await.unwrap_or(0);
        let mut troubled = self.core.board.statuses(head);
        troubled.retain(|handler| handler.last_error.is_some());
        match troubled.is_empty() {
            true => String::new(),
            false => format!("\n{}", describe(&troubled)),
        }
    }
}

fn fail(caller: Caller, error: &dyn fmt::Display) -> ! {
    panic!("{caller}: {error}")
}
