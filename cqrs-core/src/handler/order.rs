use serde::{Deserialize, Serialize};

use crate::store::{HandlerRecord, StoreError};

/// The kind of the records that tell a handler's owner what to do.
pub(crate) const ORDER: &str = "order";

/// What stands before the key of what is parked, in the key of an order about it.
const OF_PARKED: &str = "parked ";

/// What a handler's owner is told, by whoever looks after the handler on any node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
pub(crate) enum Order {
    /// To try the events of a parked key again.
    RetryParked { key: String },
    /// To leave out the first event of a parked key, and to try the others again.
    SkipParked { key: String },
    /// To handle nothing as long as this stands.
    Pause,
    /// To forget everything, and to begin anew behind a position, or where a handler begins that has never run.
    Reset { to: Option<u64> },
    /// To handle again what is behind a position, as if that had not been noted down.
    Redeliver { after: u64 },
}

impl Order {
    /// Of orders with one key the last one counts.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::RetryParked { key } | Self::SkipParked { key } => format!("{OF_PARKED}{key}"),
            Self::Pause => "pause".to_owned(),
            Self::Reset { .. } => "reset".to_owned(),
            Self::Redeliver { .. } => "redeliver".to_owned(),
        }
    }

    pub(crate) fn record(&self) -> HandlerRecord {
        HandlerRecord {
            kind: ORDER.into(),
            key: self.key(),
            position: 0,
            due_at: None,
            data: serde_json::to_vec(self).expect("text and numbers are JSON").into(),
        }
    }

    pub(crate) fn of_record(record: &HandlerRecord) -> Result<Self, StoreError> {
        serde_json::from_slice(&record.data).map_err(|fault| {
            StoreError::Corrupt(
                format!("the order {:?} to a handler cannot be read: {fault}", record.key).into(),
            )
        })
    }
}
