use serde::{Deserialize, Serialize};

use crate::store::{HandlerRecord, StoreError};

/// The kind of the records that tell a handler's owner what to do.
pub(crate) const ORDER: &str = "order";

/// What stands before the key of what is parked, in the key of an order about it.
const OF_PARKED: &str = "parked ";

pub(crate) const RESET: &str = "reset";
pub(crate) const HOLD: &str = "hold";
pub(crate) const PAUSE: &str = "pause";

/// What a handler's owner is told, by whoever looks after the handler on any node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "order")]
pub(crate) enum Order {
    /// To try the events of a parked key again.
    RetryParked { key: String },
    /// To leave out the first event of a parked key, and to try the others again. When it is told `at` which position
    /// the key was parked, and the key is somewhere else by now, that has been left out.
    SkipParked { key: String, at: Option<u64> },
    /// To handle nothing as long as this stands.
    Pause,
    /// To forget everything, and to begin anew behind a position, or where a handler begins that has never run. The
    /// first partition of a handler is told, and sees to the others.
    Reset { to: Option<u64>, round: Round },
    /// To handle nothing, and to say so, until it is known whether the handler begins anew.
    Hold { round: Round },
    /// The first partition has begun anew: the others are to be told to.
    ResetOthers { to: Option<u64>, round: Round },
    /// To handle again what is behind a position, as if that had not been noted down.
    Redeliver { after: u64 },
}

/// Tells one time that a handler is to begin anew from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round(uuid::Uuid);

impl Round {
    pub(crate) fn new() -> Self {
        Self(uuid::Uuid::now_v7())
    }
}

impl Order {
    /// Of orders with one key the last one counts.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::RetryParked { key } | Self::SkipParked { key, .. } => format!("{OF_PARKED}{key}"),
            Self::Pause => PAUSE.to_owned(),
            Self::Reset { .. } | Self::ResetOthers { .. } => RESET.to_owned(),
            Self::Hold { .. } => HOLD.to_owned(),
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
