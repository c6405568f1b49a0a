//! Events in the shapes of today.

use std::collections::HashMap;

use cqrs::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Withdrawn {
    pub amount: u64,
    pub currency: Option<String>,
    #[serde(alias = "memo", default)]
    pub note: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "Opened", version = 3, aliases = ["Created", "Registered"], upcast(1 => same, 2 => same))]
#[serde(rename_all = "camelCase")]
pub struct Opened {
    pub account_owner: String,
}

fn same(payload: Value) -> Value {
    payload
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Paid {
    Card {
        number: String,
        name: Option<String>,
    },
    #[serde(alias = "Coins")]
    Cash,
    Voucher(u64, u8),
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Moved {
    #[serde(flatten)]
    pub address: Address,
    #[serde(flatten)]
    pub rest: HashMap<String, Value>,
    #[serde(rename = "when: exactly", with = "as_text")]
    pub moved_at: u64,
    #[serde(skip)]
    pub cached: Option<u8>,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Address {
    pub street: String,
}

mod as_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Closed;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Interest(pub std::num::NonZeroU32);
