use std::collections::HashMap;

use bytes::Bytes;
use cqrs_core::store::{EventData, ExpectedVersion, StreamId, StreamWrite};
use uuid::Uuid;

use crate::Payload;
use crate::append::unit::{Unit, events_in};
use crate::rows::signed;
use crate::session::Query;

/// Events as columns, which is how they travel.
#[derive(Default)]
pub(super) struct Columns {
    ids: Vec<Uuid>,
    types: Vec<String>,
    schemas: Vec<i64>,
    causations: Vec<Uuid>,
    correlations: Vec<Uuid>,
    data: Vec<Bytes>,
    metadata: Vec<Option<Bytes>>,
}

impl Columns {
    pub(super) fn push(&mut self, event: &EventData, metadata: Option<Bytes>) {
        self.ids.push(event.event_id.as_uuid());
        self.types.push(event.event_type.as_ref().to_owned());
        self.schemas.push(i64::from(event.schema_version));
        self.causations.push(event.causation_id.as_uuid());
        self.correlations.push(event.correlation_id.as_uuid());
        self.data.push(event.data.clone());
        self.metadata.push(metadata);
    }

    pub(super) fn bind(self, query: Query<'_>, payload: Payload) -> Query<'_> {
        let query = query
            .bind(self.ids)
            .bind(self.types)
            .bind(self.schemas)
            .bind(self.causations)
            .bind(self.correlations);
        payload.bind_some(payload.bind_all(query, self.data), self.metadata)
    }
}

/// An expected version as the database takes it.
pub(crate) fn expectation(expected: ExpectedVersion) -> i64 {
    match expected {
        ExpectedVersion::Any => -1,
        ExpectedVersion::StreamExists => -2,
        ExpectedVersion::NoStream => 0,
        ExpectedVersion::Exact(version) => signed(version),
        // An expectation that this store does not know is never met.
        _ => i64::MAX,
    }
}

/// The arguments of `append_many`. What they mean stands with the function.
#[derive(Default)]
pub(super) struct Arguments {
    units: i32,
    a_id: Vec<Uuid>,
    a_unit: Vec<i32>,
    w_unit: Vec<i32>,
    w_stream: Vec<String>,
    w_expected: Vec<i64>,
    w_count: Vec<i64>,
    e_write: Vec<i32>,
    e_k: Vec<i64>,
    events: Columns,
    s_unit: Vec<i32>,
    s_stream: Vec<String>,
    s_expected: Vec<i64>,
    s_version: Vec<i64>,
    s_schemas: Vec<i64>,
    s_data: Vec<Bytes>,
    r_append: Vec<Uuid>,
    r_ordinal: Vec<i16>,
    r_write: Vec<i32>,
    r_end: Vec<i64>,
    r_events: Vec<i32>,
}

/// Where the outcome of a write is found in the answer: which write or state it is part of, and up to which event.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Write { index: usize, until: u64 },
    State { index: usize },
}

impl Arguments {
    /// Adds a unit; gives the place of each of its writes.
    pub(super) fn push(&mut self, unit: &Unit) -> Vec<Place> {
        self.units += 1;
        let mut places = Vec::new();
        let mut metadata = unit.metadata.iter().cloned();
        // Writes of a chain to one stream count as one write.
        let mut merged: HashMap<&StreamId, usize> = HashMap::new();
        for append in &unit.appends {
            self.a_id.push(append.id.as_uuid());
            self.a_unit.push(self.units);
            if append.writes.is_empty() {
                self.remember(append.id.as_uuid(), 0, 0, 0, 0);
            }
            for (ordinal, write) in (0..).zip(&append.writes) {
                let place = match write {
                    StreamWrite::State { stream_id, expected, version, schema_version, data } => {
                        let index = *merged.entry(stream_id).or_insert_with(|| {
                            self.s_unit.push(self.units);
                            self.s_stream.push(stream_id.as_str().to_owned());
                            self.s_expected.push(signed(*expected));
                            self.s_version.push(0);
                            self.s_schemas.push(0);
                            self.s_data.push(Bytes::new());
                            self.s_stream.len() - 1
                        });
                        self.s_version[index] = signed(*version);
                        self.s_schemas[index] = i64::from(*schema_version);
                        self.s_data[index] = data.clone();
                        self.remember(append.id.as_uuid(), ordinal, -number(index), signed(*version), 0);
                        Place::State { index }
                    }
                    _ => {
                        let index = *merged.entry(write.stream_id()).or_insert_with(|| {
                            self.w_unit.push(self.units);
                            self.w_stream.push(write.stream_id().as_str().to_owned());
                            self.w_expected.push(match write {
                                StreamWrite::Events { expected, .. } => expectation(*expected),
                                _ => i64::MAX,
                            });
                            self.w_count.push(0);
                            self.w_stream.len() - 1
                        });
                        for event in events_in(write) {
                            self.w_count[index] += 1;
                            self.e_write.push(number(index));
                            self.e_k.push(self.w_count[index]);
                            self.events.push(event, metadata.next().flatten());
                        }
                        let (until, own) = (self.w_count[index], events_in(write).len());
                        self.remember(append.id.as_uuid(), ordinal, number(index), until, own);
                        Place::Write { index, until: until.unsigned_abs() }
                    }
                };
                places.push(place);
            }
        }
        places
    }

    fn remember(&mut self, append: Uuid, ordinal: i16, write: i32, end: i64, events: usize) {
        self.r_append.push(append);
        self.r_ordinal.push(ordinal);
        self.r_write.push(write);
        self.r_end.push(end);
        self.r_events.push(i32::try_from(events).unwrap_or(i32::MAX));
    }

    pub(super) fn bind(self, query: Query<'_>, payload: Payload) -> Query<'_> {
        let query = query
            .bind(self.units)
            .bind(self.a_id)
            .bind(self.a_unit)
            .bind(self.w_unit)
            .bind(self.w_stream)
            .bind(self.w_expected)
            .bind(self.w_count)
            .bind(self.e_write)
            .bind(self.e_k);
        let query = self.events.bind(query, payload);
        let query = query
            .bind(self.s_unit)
            .bind(self.s_stream)
            .bind(self.s_expected)
            .bind(self.s_version)
            .bind(self.s_schemas);
        payload
            .bind_all(query, self.s_data)
            .bind(self.r_append)
            .bind(self.r_ordinal)
            .bind(self.r_write)
            .bind(self.r_end)
            .bind(self.r_events)
    }
}

/// An index as the database counts, from 1 on.
fn number(index: usize) -> i32 {
    i32::try_from(index + 1).unwrap_or(i32::MAX)
}
