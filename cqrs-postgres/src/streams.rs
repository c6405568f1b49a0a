use cqrs_core::store::{StoreError, StreamId, StreamInfo};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::PostgresStore;
use crate::error::store_error;
use crate::rows::{signed, unsigned};
use crate::session::Query;

/// How many names a page walks through at most: a text that hardly any name holds must not make one statement walk
/// through all of them.
const WINDOW: u64 = 10_000;

/// Which streams are listed by [`PostgresStore::streams`]: all of them, unless it says otherwise.
///
/// ```
/// use cqrs_postgres::StreamQuery;
///
/// let savings = StreamQuery::new().prefix("account-").containing("savings").page_size(20);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamQuery {
    prefix: String,
    text: String,
    after: Option<StreamId>,
    page_size: usize,
}

/// Streams, by name, as they were listed at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamPage {
    /// The streams. There may be none, and further ones all the same.
    pub streams: Vec<StreamInfo>,
    /// What lists the streams behind these; `None` when there are no more.
    pub next: Option<StreamQuery>,
}

impl StreamQuery {
    /// All streams, 50 a page.
    #[must_use]
    pub fn new() -> Self {
        Self { prefix: String::new(), text: String::new(), after: None, page_size: 50 }
    }

    /// Those whose names begin with a text.
    #[must_use]
    pub fn prefix(mut self, text: impl Into<String>) -> Self {
        self.prefix = text.into();
        self
    }

    /// Those whose names hold a text, every character of which stands for itself.
    #[must_use]
    pub fn containing(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Those whose names come after this one.
    #[must_use]
    pub fn after(mut self, stream_id: StreamId) -> Self {
        self.after = Some(stream_id);
        self
    }

    /// How many streams a page has at most, at least 1; 50 unless set.
    #[must_use]
    pub fn page_size(mut self, streams: usize) -> Self {
        self.page_size = streams.max(1);
        self
    }

    /// The least text that comes after all names with the prefix. Texts are in the order of their code points.
    fn end(&self) -> String {
        let mut end = self.prefix.clone();
        while let Some(last) = end.pop() {
            // The step over the code points that are no characters.
            let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(last as u32 + 1) };
            if let Some(next) = next {
                end.push(next);
                return end;
            }
        }
        // Longer than any name, of the greatest character.
        char::MAX.to_string().repeat(StreamId::MAX_BYTES)
    }
}

impl Default for StreamQuery {
    fn default() -> Self {
        Self::new()
    }
}

impl PostgresStore {
    /// Lists streams by name, in the order of their bytes, a page at a time. Softly deleted ones are among them, and
    /// say so; hard-deleted ones are not.
    ///
    /// A page walks through 10,000 names at most, so that one which looks for a rare text may hold nothing and yet not
    /// be the last.
    ///
    /// ```no_run
    /// # async fn example(store: cqrs_postgres::PostgresStore) -> Result<(), cqrs_core::store::StoreError> {
    /// use cqrs_postgres::StreamQuery;
    ///
    /// let mut next = Some(StreamQuery::new().prefix("account-"));
    /// while let Some(query) = next {
    ///     let page = store.streams(query).await?;
    ///     for stream in page.streams {
    ///         println!("{} has {} events", stream.stream_id, stream.version);
    ///     }
    ///     next = page.next;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the database fails.
    pub async fn streams(&self, query: StreamQuery) -> Result<StreamPage, StoreError> {
        let after = query.after.as_ref().map_or("", StreamId::as_str).to_owned();
        let end = query.end();
        // One more tells whether there is another page.
        let limit = signed(query.page_size as u64).saturating_add(1);
        let bind = |sql: Query<'static>| {
            let range = sql.bind(after.clone()).bind(query.prefix.clone()).bind(end.clone());
            range.bind(query.text.clone()).bind(signed(WINDOW)).bind(limit)
        };
        let mut found: Found = self
            .ask(&self.shared.statements.streams, bind, |found: &mut Found, row| {
                let (stream, place) = read(row)?;
                let name = stream.stream_id.clone();
                // The last one of the window is told in any case.
                if name.as_str().contains(&query.text) {
                    found.streams.push(stream);
                }
                if place >= WINDOW {
                    found.window_ends_at = Some(name);
                }
                Ok(false)
            })
            .await?;
        let next_after = if found.streams.len() > query.page_size {
            found.streams.truncate(query.page_size);
            found.streams.last().map(|last| last.stream_id.clone())
        } else {
            found.window_ends_at
        };
        Ok(StreamPage { streams: found.streams, next: next_after.map(|last| query.after(last)) })
    }
}

#[derive(Default)]
struct Found {
    streams: Vec<StreamInfo>,
    window_ends_at: Option<StreamId>,
}

/// A stream, and the place of its name in the window.
fn read(row: &PgRow) -> Result<(StreamInfo, u64), StoreError> {
    let name: String = row.try_get(0).map_err(store_error)?;
    let corrupt = |fault| StoreError::Corrupt(format!("the name {name:?} is no stream's: {fault}").into());
    let stream_id = StreamId::new(&name).map_err(corrupt)?;
    let version = unsigned(row.try_get(1).map_err(store_error)?);
    let info = StreamInfo::active(stream_id, version, row.try_get(2).map_err(store_error)?);
    let is_deleted: bool = row.try_get(3).map_err(store_error)?;
    let place = unsigned(row.try_get(4).map_err(store_error)?);
    Ok((if is_deleted { info.deleted() } else { info }, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        for (prefix, end) in [("account-", "account."), ("a\u{D7FF}", "a\u{E000}"), ("a\u{10FFFF}", "b")] {
            assert_eq!(StreamQuery::new().prefix(prefix).end(), end);
        }
        let longest = char::MAX.to_string().repeat(StreamId::MAX_BYTES / 4);
        for prefix in ["", "\u{10FFFF}"] {
            assert!(StreamQuery::new().prefix(prefix).end() > longest);
        }
    }
}
