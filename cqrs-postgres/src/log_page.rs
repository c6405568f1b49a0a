use cqrs_core::BoxError;
use cqrs_core::store::{RecordedEvent, StoreError, StreamId};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::store_error;
use crate::names::{Names, Stream};
use crate::rows::{self, BEHIND_EVENT, unsigned};

/// The columns of a page behind those of its events.
const STREAM: usize = BEHIND_EVENT;
const NAME: usize = BEHIND_EVENT + 1;
const REACH: usize = BEHIND_EVENT + 2;
const STORE_ID: usize = BEHIND_EVENT + 3;

/// When a page of the log is large enough, whatever the limit.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A page of the log, as it comes.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) events: Vec<RecordedEvent>,
    /// The events, by their index, whose streams' names are still to be asked for.
    pub(crate) nameless: Vec<(usize, Stream)>,
    store_id: Uuid,
    last_stream: Option<Stream>,
    bytes: usize,
    pub(crate) reach: u64,
    pub(crate) is_cut: bool,
}

impl Page {
    /// Takes an event; tells whether the page is full with it. The first row is about the page itself.
    pub(crate) fn take(&mut self, row: &PgRow, limit: usize, names: &Names) -> Result<bool, StoreError> {
        if let Some(reach) = row.try_get_unchecked::<Option<i64>, _>(REACH).map_err(store_error)? {
            self.reach = unsigned(reach);
            self.store_id = row.try_get_unchecked(STORE_ID).map_err(store_error)?;
            return Ok(false);
        }
        let number = row.try_get_unchecked(STREAM).map_err(store_error)?;
        let stream = Stream { store_id: self.store_id, number };
        let event = rows::event(row, || self.stream_id(row, stream, names))?;
        if self.events.last().is_some_and(|last| last.position >= event.position) {
            return Err(StoreError::Failed("the database gave a page of the log out of order".into()));
        }
        self.bytes += size_of::<RecordedEvent>() + event.data.len();
        self.events.push(event);
        self.last_stream = Some(stream);
        self.is_cut = self.events.len() >= limit || self.bytes >= PAGE_BYTES;
        Ok(self.is_cut)
    }

    /// The name of the next event's stream, or its number, until the name is known.
    fn stream_id(&mut self, row: &PgRow, stream: Stream, names: &Names) -> Result<StreamId, BoxError> {
        let is_neighbour = self.last_stream == Some(stream) && self.nameless.is_empty();
        if let Some(neighbour) = self.events.last().filter(|_| is_neighbour) {
            return Ok(neighbour.stream_id.clone());
        }
        if let Some(name) = names.get(stream) {
            return Ok(name);
        }
        if let Some(name) = row.try_get_unchecked::<Option<&str>, _>(NAME)? {
            let name = StreamId::new(name)?;
            names.remember(stream, &name);
            return Ok(name);
        }
        self.nameless.push((self.events.len(), stream));
        Ok(StreamId::new(stream.number.to_string())?)
    }
}
