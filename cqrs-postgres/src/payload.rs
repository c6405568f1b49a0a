use bytes::Bytes;
use cqrs_core::event::Metadata;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef, Postgres};
use sqlx::{Decode, Type, TypeInfo as _};

use crate::Payload;
use crate::session::Query;

/// JSON text on its way into a column of type `jsonb`.
#[derive(Clone)]
struct Jsonb(Bytes);

impl Type<Postgres> for Jsonb {
    fn type_info() -> PgTypeInfo {
        <sqlx::types::JsonValue as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for Jsonb {
    fn array_type_info() -> PgTypeInfo {
        <sqlx::types::JsonValue as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for Jsonb {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        // The version of the wire format, the only one there is.
        buffer.push(1);
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}

/// JSON text on its way into a column of type `json`.
#[derive(Clone)]
pub(crate) struct Json(pub(crate) Bytes);

impl Type<Postgres> for Json {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(114))
    }
}

impl PgHasArrayType for Json {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(199))
    }
}

impl Encode<'_, Postgres> for Json {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}

/// Bytes on their way into a column of type `bytea`.
#[derive(Clone)]
struct Raw(Bytes);

impl Type<Postgres> for Raw {
    fn type_info() -> PgTypeInfo {
        <[u8] as Type<Postgres>>::type_info()
    }
}

impl PgHasArrayType for Raw {
    fn array_type_info() -> PgTypeInfo {
        <&[u8] as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for Raw {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }
}

impl Payload {
    pub(crate) fn bind_all(self, query: Query<'_>, payloads: Vec<Bytes>) -> Query<'_> {
        match self {
            Self::Jsonb => query.bind(payloads.into_iter().map(Jsonb).collect::<Vec<_>>()),
            Self::Bytea => query.bind(payloads.into_iter().map(Raw).collect::<Vec<_>>()),
        }
    }

    pub(crate) fn bind_some(self, query: Query<'_>, payloads: Vec<Option<Bytes>>) -> Query<'_> {
        match self {
            Self::Jsonb => query.bind(payloads.into_iter().map(|one| one.map(Jsonb)).collect::<Vec<_>>()),
            Self::Bytea => query.bind(payloads.into_iter().map(|one| one.map(Raw)).collect::<Vec<_>>()),
        }
    }
}

/// What a column of payloads or records holds: `jsonb`, `bytea` or `json`.
pub(crate) struct Stored<'r>(pub(crate) &'r [u8]);

impl Type<Postgres> for Stored<'_> {
    fn type_info() -> PgTypeInfo {
        <[u8] as Type<Postgres>>::type_info()
    }

    fn compatible(info: &PgTypeInfo) -> bool {
        matches!(info.name(), "BYTEA" | "JSONB" | "JSON")
    }
}

impl<'r> Decode<'r, Postgres> for Stored<'r> {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let is_json = sqlx::ValueRef::type_info(&value).name() == "JSONB";
        let bytes = value.as_bytes()?;
        Ok(Self(if is_json { bytes.strip_prefix(&[1]).ok_or("unknown version of jsonb")? } else { bytes }))
    }
}

/// Metadata as it lies in the database; nothing when it is empty.
pub(crate) fn stored_metadata(metadata: &Metadata) -> Option<Bytes> {
    if metadata.is_empty() {
        return None;
    }
    Some(serde_json::to_vec(metadata).map(Bytes::from).expect("metadata is JSON already"))
}
