//! Events appended one by one, as those by hand are: to streams of 10 events, each caller to streams of its own, at
//! the exact version.

use std::marker::PhantomData;

use bytes::Bytes;
use cqrs::id::CommandId;
use cqrs::postgres::{Payload, PostgresStore, Schema};
use cqrs::store::{Append, EventStore as _, ExpectedVersion, StreamId};

use crate::ours::event::event_with_metadata;
use crate::ours::log::{self, COUNT, FAULTS};
use crate::point::BoxError;
use crate::postgres::{Call, Calls, Database, OnPostgres};
use crate::raw::data_of_256_bytes;

const EVENTS_OF_A_STREAM: usize = 10;

/// How payloads lie in the database.
pub(crate) trait Kind: Clone + Send + Sync + 'static {
    const PAYLOAD: Payload;
}

/// The default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jsonb;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytea;

impl Kind for Jsonb {
    const PAYLOAD: Payload = Payload::Jsonb;
}

impl Kind for Bytea {
    const PAYLOAD: Payload = Payload::Bytea;
}

#[derive(Clone, Debug)]
pub(crate) struct Appends<K = Jsonb> {
    store: PostgresStore,
    data: Bytes,
    kind: PhantomData<K>,
}

impl<K: Kind> Appends<K> {
    pub(super) fn to(store: PostgresStore) -> Result<Self, BoxError> {
        let data = Bytes::copy_from_slice(data_of_256_bytes()?.as_bytes());
        Ok(Self { store, data, kind: PhantomData })
    }
}

impl<K: Kind> OnPostgres for Appends<K> {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        Self::to(log::open(database, Schema::default().payload(K::PAYLOAD)).await?)
    }

    async fn close(self) {
        self.store.pool().close().await;
    }
}

impl<K: Kind> Calls for Appends<K> {
    async fn call(&self, call: Call) -> Result<usize, BoxError> {
        let stream = call.turn / EVENTS_OF_A_STREAM;
        let stream_id = StreamId::new(format!("account-{}-{}-{stream}", call.slice, call.caller))?;
        let expected = ExpectedVersion::Exact((call.turn % EVENTS_OF_A_STREAM) as u64);
        let command_id = CommandId::new();
        let event = event_with_metadata(command_id, self.data.clone());
        self.store.append(Append::to_stream(command_id, stream_id, expected, vec![event])).await?;
        Ok(1)
    }
}
