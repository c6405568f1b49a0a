use cqrs_core::store::{AppendError, StoreError};
use futures_util::future::join_all;

use crate::ledger::Ledger;
use crate::support::{append, config, in_time, open, shared, sql};

/// Makes the first writes to the log fail. The calls are counted outside of the transaction.
async fn fail_first(schema: &cqrs_postgres::testing::TestSchema, times: u32, code: &str) {
    sql(
        schema,
        &format!(
            "drop trigger if exists fail_first on events; create sequence if not exists calls; \
             alter sequence calls restart; \
             create or replace function fail_first() returns trigger language plpgsql set search_path from current as $$ begin \
               if nextval('calls') <= {times} then raise exception 'injected' using errcode = '{code}'; end if; \
               return null; end $$; \
             create trigger fail_first before insert on events for each statement execute function fail_first()"
        ),
    )
    .await;
}

/// What may pass the next time is tried again, and written once (H7, H9).
#[tokio::test]
async fn pg_125_transient_errors_are_tried_again() {
    let schema = shared().await;
    let store = open(config(&schema)).await;
    let ledger = Ledger::default();
    for code in ["40001", "40P01", "40000", "25P03", "26000"] {
        fail_first(&schema, 3, code).await;
        in_time(ledger.append(&store, &append("s", 2))).await.unwrap();
        fail_first(&schema, 3, code).await;
        let many: Vec<_> = (0..20).map(|number| append(&format!("s-{number}"), 1)).collect();
        for told in in_time(join_all(many.iter().map(|append| ledger.append(&store, append)))).await {
            told.unwrap();
        }
    }
    assert_eq!(ledger.written(), 105);
    ledger.prove(&schema, &store).await;
}

/// What never passes is told in time, as what it is, with nothing written.
#[tokio::test]
async fn pg_125_errors_that_stay_are_told() {
    let schema = shared().await;
    let store = open(config(&schema)).await;
    let ledger = Ledger::default();
    for (code, may_pass_later) in [
        ("40001", true),
        ("40P01", true),
        // The disk is full, a file cannot be read, an index is broken, somebody cancels, a standby.
        ("53100", true),
        ("58030", true),
        ("XX002", true),
        ("57014", true),
        ("25006", true),
        ("23514", false),
        ("22023", false),
        ("42501", false),
    ] {
        fail_first(&schema, u32::MAX, code).await;
        let appends = [append("s", 2), append("t", 1)];
        for told in in_time(join_all(appends.iter().map(|append| ledger.append(&store, append)))).await {
            let is_told = match told {
                Err(AppendError::Store(StoreError::Unavailable(_))) => may_pass_later,
                Err(AppendError::Store(StoreError::Failed(_))) => !may_pass_later,
                _ => false,
            };
            assert!(is_told, "{code}: {told:?}");
        }
    }
    sql(&schema, "drop trigger fail_first on events").await;
    ledger.append(&store, &append("s", 1)).await.unwrap();
    ledger.prove(&schema, &store).await;
}
