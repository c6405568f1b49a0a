use bytes::Bytes;
use cqrs_core::id::NodeId;
use cqrs_core::store::{
    AppendError, CheckpointError, CheckpointStore as _, HandlerCommit, HandlerRecord, LeaseStore as _,
    StoreError,
};
use futures_util::future::join_all;

use crate::ledger::Ledger;
use crate::support::{NEVER, append, config, in_time, open, shared, sql};

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

/// The server tells the rows of a statement before it commits it: a handler's commit that fails only then is not told as
/// written. That is also how one looks like to which a server that is stopped at once still sends what it had to tell.
#[tokio::test]
async fn g_007_what_fails_at_the_commit_is_told() {
    let schema = shared().await;
    let store = open(config(&schema)).await;
    let epoch = store.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap().unwrap();
    sql(
        &schema,
        "create function fail_late() returns trigger language plpgsql as $$ begin raise exception 'injected'; end $$; \
         create constraint trigger fail_late after insert on records deferrable initially deferred \
         for each row execute function fail_late()",
    )
    .await;
    let data = Bytes::from_static(b"1");
    let record =
        HandlerRecord { kind: "kind".into(), key: "key".to_owned(), position: 1, due_at: None, data };
    let commit = HandlerCommit::new().position(1).put(record);
    let told = in_time(store.commit("handler", epoch, commit)).await;
    assert!(matches!(told, Err(CheckpointError::Store(StoreError::Failed(_)))), "{told:?}");
    assert!(store.records("handler", "kind", None, 10).await.unwrap().is_empty());
    assert_eq!(store.checkpoint("handler").await.unwrap(), None);
}
