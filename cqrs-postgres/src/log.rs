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
pub(crate) const WINDOW: u64 = 100_000;

/// How many places of the log are looked at one by one rather than by the index of correlations, whose summaries are read
/// as a whole.
const FEW: u64 = 1_000;

impl PostgresStore {
    /// The events of all streams of a category, in the order of the log: those behind position `after`, at most
    /// `limit` of them. What stands before the first `-` of a stream's name is its category
    /// ([`StreamId::category`](cqrs_core::store::StreamId::category)).
    ///
    /// The same as [`EventStore::read_log`](cqrs_core::store::EventStore::read_log) with a filter by category. No index
    /// knows categories: a page walks through 100,000 positions at most, and may hold no event and yet not be the end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_category(
        &self,
        category: &str,
        after: u64,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        self.page_of_log(after, &EventFilter::all().category(category), limit).await
    }

    /// A page of the log, by the index that leads to the fewest events: those of a stream or a correlation are found
    /// wherever they are, so that a page reaches to the head.
    pub(crate) async fn page_of_log(
        &self,
        after: u64,
        filter: &EventFilter,
        limit: usize,
    ) -> Result<LogPage, StoreError> {
        let statements = &self.shared.statements;
        let types: Option<Vec<String>> = filter.event_types().map(|types| types.map(str::to_owned).collect());
        let category = filter.only_category().map(str::to_owned);
        let correlation = filter.only_correlation().map(CorrelationId::as_uuid);
        let stream = filter.only_stream().map(|stream_id| stream_id.as_str().to_owned());
        let is_of_types = category.is_none() && correlation.is_none() && stream.is_none();
        let (sql, places) = if stream.is_some() {
            (&statements.log_of_stream, u64::MAX)
        } else if correlation.is_some() && !self.has_few_behind(after) {
            (&statements.log_of_correlation, u64::MAX)
        } else if is_of_types {
            (&statements.log, WINDOW)
        } else {
            (&statements.log_where, WINDOW)
        };
        let condition = move |query: Query<'static>| {
            let query = query.bind(types.clone());
            if is_of_types {
                return query;
            }
            let query = query.bind(category.clone()).bind(correlation);
            match &stream {
                Some(stream) => query.bind(stream.clone()),
                None => query,
            }
        };
        self.page_where(sql, (after, places), limit, condition).await
    }

    /// Whether the head is known to be close. What is known may be old: pages are right either way.
    fn has_few_behind(&self, after: u64) -> bool {
        let head = self.shared.head.position();
        head > 0 && head.saturating_sub(after) <= FEW
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
