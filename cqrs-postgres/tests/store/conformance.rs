mod jsonb {
    cqrs_core::audit_conformance!(|| async { crate::support::fresh(|schema| schema).await });
    cqrs_core::store_conformance!(
        || async { crate::support::fresh(|schema| schema).await },
        hard_deletion = || async { crate::support::fresh(|schema| schema.allow_hard_deletion(true)).await },
    );
}

mod bytea {
    use cqrs_postgres::Payload;

    cqrs_core::store_conformance!(
        || async { crate::support::fresh(|schema| schema.payload(Payload::Bytea)).await },
        hard_deletion = || async {
            crate::support::fresh(|schema| schema.payload(Payload::Bytea).allow_hard_deletion(true)).await
        },
    );
}

/// `pg_126`, H5: by way of a pooler in transaction mode, which gives each transaction to any of its connections.
mod pg_126_pooled {
    cqrs_core::audit_conformance!(|| async { crate::support::fresh_pooled(|schema| schema).await });
    cqrs_core::store_conformance!(
        || async { crate::support::fresh_pooled(|schema| schema).await },
        hard_deletion =
            || async { crate::support::fresh_pooled(|schema| schema.allow_hard_deletion(true)).await },
    );
}
