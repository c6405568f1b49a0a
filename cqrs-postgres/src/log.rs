use std::collections::HashSet;
use std::sync::Arc;

use cqrs_core::BoxError;
use cqrs_core::id::CorrelationId;
use cqrs_core::store::{EventFilter, LogPage, StoreError, StreamId};

use crate::PostgresStore;
use crate::log_page::Page;
use crate::names::Stream;
use crate::read::Ask;
use crate::rows::{signed, unreadable};
use crate::session::Query;

/// How many places of the log a page covers at most: a condition that hardly any event fulfils must not make one
/// statement walk through the whole log.
const WINDOW: u64 = 100_000;

impl PostgresStore {
    /// The events of all streams of a category, in the order of the log: those behind position `after`, at most
    /// `limit` of them. What stands before the first `-` of a stream's name is its category
    /// ([`StreamId::category`](cqrs_core::store::StreamId::category)).
    ///
    /// As with [`EventStore::read_log`](cqrs_core::store::EventStore::read_log), the page says how far it reaches, and
    /// one that reaches no further than `after` is the end of the log for now. No index knows categories: a page walks
    /// through 100,000 positions at most, and may hold no event and yet not be the end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_category(
        &self,
        category: &str,
        after: u64,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        let category = category.to_owned();
        let condition = move |query: Query<'static>| query.bind(category.clone());
        self.page_where(&self.shared.statements.category, (after, WINDOW), limit, condition).await
    }

    pub(crate) async fn page_of_log(
        &self,
        after: u64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        let types: Option<Vec<String>> = filter.event_types().map(|types| types.map(str::to_owned).collect());
        let condition = move |query: Query<'static>| query.bind(types.clone());
        self.page_where(&self.shared.statements.log, (after, WINDOW), limit, condition).await
    }

    /// The events of a correlation. An index knows them, so that a page reaches to the head.
    pub(crate) async fn page_of_correlation(
        &self,
        correlation_id: CorrelationId,
        after: u64,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        let condition = move |query: Query<'static>| query.bind(correlation_id.as_uuid());
        self.page_where(&self.shared.statements.correlated, (after, u64::MAX), limit, condition).await
    }

    /// A page of the log behind a position, of so many places at most, by a statement whose condition takes the arguments
    /// from the fourth on.
    async fn page_where(
        &self,
        sql: &Arc<str>,
        (after, places): (u64, u64),
        limit: usize,
        condition: impl Ask,
    ) -> Result<LogPage, StoreError> {
        if limit == 0 {
            return Ok(LogPage::new(Vec::new(), after));
        }
        let reach = signed(after.saturating_add(places));
        let bind = |query: Query<'static>| {
            condition(query.bind(signed(after)).bind(reach).bind(signed(limit as u64)))
        };
        let names = &self.shared.names;
        let mut page: Page = self.ask(sql, bind, |page: &mut Page, row| page.take(row, limit, names)).await?;
        self.name(&mut page).await?;
        let read_to = match page.events.last() {
            Some(last) if page.is_cut => last.position,
            _ => page.reach.max(after),
        };
        Ok(LogPage::new(page.events, read_to))
    }

    /// Asks for the names that the page does without.
    async fn name(&self, page: &mut Page) -> Result<(), StoreError> {
        if page.nameless.is_empty() {
            return Ok(());
        }
        let streams: HashSet<Stream> = page.nameless.iter().map(|(_, stream)| *stream).collect();
        let found = self.names_of(&streams).await?;
        for (index, stream) in page.nameless.drain(..) {
            let event = &mut page.events[index];
            let name =
                found.get(&stream).ok_or_else(|| format!("there is no stream {}", stream.number).into());
            let name = name.and_then(|name| Ok(StreamId::new(name)?));
            event.stream_id = name.map_err(|fault: BoxError| unreadable(event.position, &*fault))?;
            self.shared.names.remember(stream, &event.stream_id);
        }
        Ok(())
    }
}
