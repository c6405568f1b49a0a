use std::collections::HashSet;

use cqrs_core::clock::Clock;
use cqrs_core::store::{AppendError, Link, StreamId};

use crate::contents::Contents;
use crate::stream::Stream;

impl Contents {
    /// Puts events into a further stream; gives that stream's version.
    pub(crate) fn link(&mut self, link: Link, clock: &dyn Clock) -> Result<u64, AppendError> {
        let version = self.check_stream(&link.stream_id, link.expected)?;
        self.check_links(&link.stream_id, &link.positions)?;
        if link.positions.is_empty() {
            return Ok(version);
        }
        let now = clock.now();
        let stream = self.streams.entry(link.stream_id).or_insert_with(|| Stream::new(now));
        for position in link.positions {
            stream.push_link(position);
        }
        Ok(stream.version())
    }

    fn check_links(&self, stream_id: &StreamId, positions: &[u64]) -> Result<(), AppendError> {
        let stream = self.streams.get(stream_id);
        let mut seen = HashSet::with_capacity(positions.len());
        for position in positions {
            let refuse = |reason| AppendError::InvalidLink {
                stream_id: stream_id.clone(),
                position: *position,
                reason,
            };
            let Some(event) = self.log.get(*position) else {
                return Err(refuse("it holds no event"));
            };
            if event.stream_id == *stream_id || stream.is_some_and(|stream| stream.links_to(*position)) {
                return Err(refuse("the stream holds its event already"));
            }
            if !seen.insert(position) {
                return Err(refuse("it is named twice"));
            }
        }
        Ok(())
    }
}
