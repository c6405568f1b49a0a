//! The memory of an idle aggregate.
//!
//! The events are put into the store first, by hand. Then each aggregate is brought to life by a command that
//! emits nothing, so that the store does not grow: what the resident memory of the process grows by is the
//! instances, all told (state, stream id, place in the map, and what the allocator adds to each).
//!
//! Resident memory is what the system accounts for, and needs no allocator of its own in this program, which
//! would slow the other measurements. It is read from `/proc`, so that this one needs Linux.

use std::fs;

use cqrs::MemoryStore;
use cqrs::event::EventSet as _;
use cqrs::id::{CausationId, CommandId, CorrelationId, EventId};
use cqrs::prelude::*;
use cqrs::store::{Append, EventData, EventStore as _, ExpectedVersion, StreamId};
use serde::{Deserialize, Serialize};

use crate::point::{BoxError, Effort, Metric, Value};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
struct SheetFilled {
    byte: u8,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = StudioRouter, aggregate = Sheet, identify_by = sheet_id)]
struct LookAt {
    sheet_id: String,
}

/// A state of 100 bytes.
#[derive(Default, Clone, Debug)]
struct Sheet {
    lines: [[u8; 20]; 5],
}

#[aggregate(stream_prefix = "sheet")]
impl Sheet {
    #[execute]
    fn look_at(&self, _command: &LookAt) -> Option<SheetFilled> {
        None
    }

    #[apply]
    fn filled(&mut self, event: &SheetFilled) {
        self.lines = [[event.byte; 20]; 5];
    }
}

#[derive(Debug, Router)]
struct StudioRouter;

application! {
    struct Studio {
        routers: [StudioRouter],
    }
}

pub(crate) fn measure(effort: Effort) -> Result<Vec<Value>, BoxError> {
    let instances = effort.pick(20_000, 100_000);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = filled(instances).await?;
        let config = Config::new().max_live_aggregates(instances);
        let studio = Studio::builder(store).config(config).start().await?;
        // What is allocated once, such as the stacks and buffers of a first command, does not count.
        studio.dispatch(LookAt { sheet_id: "0".to_owned() }).await?;
        let before = resident_bytes()?;
        for sheet in 1..instances {
            studio.dispatch(LookAt { sheet_id: sheet.to_string() }).await?;
        }
        let after = resident_bytes()?;
        assert_eq!(studio.live_aggregates().len(), instances, "none has left memory");
        studio.shutdown().await;
        Ok(vec![Value::new(Metric::Footprint, each(after - before, instances - 1), "bytes")])
    })
}

async fn filled(instances: usize) -> Result<MemoryStore, BoxError> {
    let store = MemoryStore::new();
    for sheet in 0..instances {
        let command_id = CommandId::new();
        let event = SheetFilled { byte: 7 };
        let event = EventData {
            event_id: EventId::new(),
            event_type: event.schema().name.into(),
            schema_version: event.schema().version,
            data: event.encode()?,
            metadata: cqrs::event::Metadata::new(),
            causation_id: CausationId::from(command_id),
            correlation_id: CorrelationId::new(),
        };
        let stream_id = StreamId::new(format!("sheet-{sheet}"))?;
        store
            .append(Append::to_stream(command_id, stream_id, ExpectedVersion::NoStream, vec![event]))
            .await?;
    }
    Ok(store)
}

/// The resident memory of this process.
pub(crate) fn resident_bytes() -> Result<usize, BoxError> {
    status_bytes("VmRSS:")
}

/// The largest that it has been.
pub(crate) fn peak_bytes() -> Result<usize, BoxError> {
    status_bytes("VmHWM:")
}

fn status_bytes(name: &str) -> Result<usize, BoxError> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib = kib.ok_or_else(|| format!("no {name} in the status"))?;
    Ok(kib.trim().parse::<usize>()? * 1024)
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
pub(crate) fn each(bytes: usize, instances: usize) -> f64 {
    bytes as f64 / instances as f64
}
