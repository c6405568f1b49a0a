use std::fmt;

use crate::application::Core;
use crate::event::{DecodeError, Decoded, EventSet, decode};
use crate::store::{EventFilter, RecordedEvent, StoreError, StreamId};
use crate::testing::ReceivedEvent;

/// Which part of the log is looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    /// The position that it begins behind.
    pub(crate) after: u64,
    /// The one stream that counts.
    pub(crate) stream: Option<StreamId>,
}

/// Why the log cannot be searched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    #[error(
        "event type {name:?} is not registered in application {application:?}, so it can never come; known are {known}"
    )]
    Unregistered { application: String, name: &'static str, known: String },
    #[error("{0}")]
    Undecodable(#[from] DecodeError),
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

/// How many events are read at once.
const PAGE: usize = 500;

/// How many events a failure message shows at most.
const SHOWN: usize = 50;

/// How many characters of a payload it shows.
const SHOWN_PAYLOAD: usize = 200;

/// The stored names under which events of `E` may be found. A type that the application does not know
/// will never be found, and waiting for it would hide the mistake.
pub(crate) fn filter_of<E: EventSet>(core: &Core) -> Result<EventFilter, SearchError> {
    let unknown = E::schemas()
        .into_iter()
        .find(|schema| core.registry.find(schema.name).is_none_or(|known| known.name != schema.name));
    if let Some(schema) = unknown {
        let known: Vec<_> = core.registry.events().map(|schema| schema.name).collect();
        return Err(SearchError::Unregistered {
            application: core.name().to_owned(),
            name: schema.name,
            known: known.join(", "),
        });
    }
    Ok(EventFilter::types(core.registry.stored_names_of::<E>()))
}

/// The names of the types of `E`, for messages.
pub(crate) fn names<E: EventSet>() -> String {
    let names: Vec<_> = E::schemas().iter().map(|schema| schema.name).collect();
    names.join(" or ")
}

/// The events of type `E` in one stored event that match; an upcaster may have made several of it.
pub(crate) fn matching<E: EventSet>(
    core: &Core,
    recorded: &RecordedEvent,
    matches: &mut impl FnMut(&E, &RecordedEvent) -> bool,
) -> Result<Vec<ReceivedEvent<E>>, SearchError> {
    let mut found = Vec::new();
    decode::<E, DecodeError>(&core.registry, recorded, |decoded| {
        if let Decoded::Event(event) = decoded
            && matches(&event, recorded)
        {
            found.push(ReceivedEvent { event, recorded: recorded.clone() });
        }
        Ok(())
    })?;
    Ok(found)
}

impl Scope {
    pub(crate) fn includes(&self, event: &RecordedEvent) -> bool {
        event.position > self.after && self.stream.as_ref().is_none_or(|stream| *stream == event.stream_id)
    }

    /// The events of type `E` that match and are there now; the first only, or all.
    pub(crate) async fn find<E: EventSet>(
        &self,
        core: &Core,
        first_only: bool,
        mut matches: impl FnMut(&E, &RecordedEvent) -> bool,
    ) -> Result<Vec<ReceivedEvent<E>>, SearchError> {
        let filter = filter_of::<E>(core)?;
        let mut found = Vec::new();
        let mut after = self.after;
        loop {
            let page = core.store.read_log(after, &filter, PAGE).await?;
            for recorded in page.events.iter().filter(|recorded| self.includes(recorded)) {
                found.append(&mut matching(core, recorded, &mut matches)?);
                if first_only && !found.is_empty() {
                    return Ok(found);
                }
            }
            if page.read_to <= after {
                return Ok(found);
            }
            after = page.read_to;
        }
    }

    /// What the log holds, for a test that expected something else: the latest events.
    pub(crate) async fn describe(&self, core: &Core) -> String {
        let mut events = Vec::new();
        let mut after = self.after;
        while let Ok(page) = core.store.read_log(after, &EventFilter::all(), PAGE).await {
            if page.read_to <= after {
                break;
            }
            after = page.read_to;
            events.extend(page.events.into_iter().filter(|event| self.includes(event)));
        }
        let mut text = format!("{self} holds {} events", events.len());
        if events.len() > SHOWN {
            text.push_str(&format!(", the last {SHOWN} are"));
            events.drain(..events.len() - SHOWN);
        }
        for event in &events {
            text.push_str("\n    ");
            text.push_str(&show(event));
        }
        text
    }
}

/// An event in a line.
pub(crate) fn show(event: &RecordedEvent) -> String {
    let payload: String = String::from_utf8_lossy(&event.data).chars().take(SHOWN_PAYLOAD).collect();
    format!(
        "{} {} v{} in {} at {}, correlation {}: {payload}",
        event.position,
        event.event_type,
        event.schema_version,
        event.stream_id,
        event.stream_version,
        event.correlation_id
    )
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.after {
            0 => formatter.write_str("the log")?,
            after => write!(formatter, "the log behind position {after}")?,
        }
        match &self.stream {
            Some(stream) => write!(formatter, ", in stream {stream},"),
            None => Ok(()),
        }
    }
}
