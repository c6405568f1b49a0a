use cqrs_core::store::{AppendError, Deletion, ExpectedVersion, StoreError, StreamId};

use crate::contents::Contents;
use crate::stream::Stream;

impl Contents {
    /// Deletes a stream that looks as expected.
    pub(crate) fn delete_stream(
        &mut self,
        stream_id: &StreamId,
        expected: ExpectedVersion,
        deletion: Deletion,
    ) -> Result<(), AppendError> {
        if !self.streams.contains_key(stream_id) {
            return Err(AppendError::StreamNotFound { stream_id: stream_id.clone() });
        }
        self.check_stream(stream_id, expected)?;
        match deletion {
            Deletion::Soft => {
                if let Some(stream) = self.streams.get_mut(stream_id) {
                    stream.close();
                }
                Ok(())
            }
            Deletion::Hard => {
                if let Some(stream) = self.streams.remove(stream_id) {
                    self.erase(&stream);
                }
                // A snapshot that stayed would be taken for one of the stream that may follow.
                self.snapshots.remove(stream_id);
                Ok(())
            }
            unknown => Err(AppendError::Store(StoreError::Failed(
                format!("this store knows no {unknown:?} deletion").into(),
            ))),
        }
    }

    /// Takes the events of a stream out of the log. Streams that link to them keep the places, which give
    /// nothing from then on.
    fn erase(&mut self, stream: &Stream) {
        for position in stream.own_positions() {
            if let Some(event) = self.log.remove(position) {
                self.event_ids.remove(&event.event_id);
            }
        }
    }
}
