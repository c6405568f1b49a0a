use std::sync::Arc;

use cqrs_core::store::{
    Append, AppendError, Deletion, EventStore as _, ExpectedVersion, Link, StoreError, StreamWrite,
};
use cqrs_postgres::PostgresStore;
use cqrs_postgres::testing::{PgBouncer, Proxy, TestSchema, TestServer};
use futures_util::future::join_all;

use crate::ledger::Ledger;
use crate::support::{
    NEVER, append, append_at, config, config_at, events, in_time, open, shared, sql, stream,
};

/// The whole statement: `read committed` holds the word as well.
const COMMIT: &str = "commit\0";

/// A store whose answers get lost on demand.
pub(crate) struct Lossy {
    schema: TestSchema,
    pub(crate) store: PostgresStore,
    pub(crate) proxy: Proxy,
    /// What a store sends last when it appends.
    ends_with: &'static str,
    _pooler: Option<PgBouncer>,
}

impl Lossy {
    async fn direct() -> Self {
        let schema = shared().await;
        let proxy = Proxy::start(schema.url()).await.unwrap();
        let store = open(config_at(proxy.url(), &schema)).await;
        Self { schema, store, proxy, ends_with: "append_", _pooler: None }
    }

    async fn pooled() -> Self {
        let schema = shared().await;
        let pooler = PgBouncer::start(TestServer::shared().await.unwrap().url()).await.unwrap();
        let proxy = Proxy::start(pooler.url()).await.unwrap();
        let store = open(config_at(proxy.url(), &schema).transaction_pooler(true)).await;
        Self { schema, store, proxy, ends_with: COMMIT, _pooler: Some(pooler) }
    }

    /// Both ways.
    pub(crate) async fn each() -> [Self; 2] {
        [Self::direct().await, Self::pooled().await]
    }

    /// Loses the answer to the next change that holds this, when it is made.
    pub(crate) fn lose_answer_to_change(&self, holds: &'static str) {
        let is_pooled = self.ends_with == COMMIT;
        self.proxy.lose_answer_to(if is_pooled { COMMIT } else { holds });
    }
}

/// The answer to a single append is lost: behind a pooler also the one to what comes before the commit (H5, H11).
#[tokio::test]
async fn pg_115_a_lost_answer_is_settled() {
    for lossy in Lossy::each().await {
        let ledger = Ledger::default();
        for (number, lost) in
            (1..).zip([&["append_one"][..], &[lossy.ends_with], &["append_one", "append_one"]])
        {
            lost.iter().for_each(|bytes| lossy.proxy.lose_answer_to(*bytes));
            let exact = append_at("s", ExpectedVersion::Exact(number - 1), 1);
            let told = in_time(ledger.append(&lossy.store, &exact)).await.unwrap();
            assert!(!told.repeated, "it was this very request that wrote");
        }
        assert_eq!(lossy.proxy.lost_answers(), 4);
        ledger.prove(&lossy.schema, &lossy.store).await;
    }
}

/// The answer to the question what became of it is lost as well.
#[tokio::test]
async fn a_lost_answer_while_settling_is_settled() {
    for lossy in Lossy::each().await {
        let ledger = Ledger::default();
        for lost in [lossy.ends_with, "a.append_id = $1", "a.append_id = $1", "$3::uuid"] {
            lossy.proxy.lose_answer_to(lost);
        }
        let told = in_time(ledger.append(&lossy.store, &append("s", 3))).await.unwrap();
        assert!(!told.repeated);
        assert_eq!(lossy.proxy.lost_answers(), 4);
        ledger.prove(&lossy.schema, &lossy.store).await;
    }
}

/// Appends that travelled together are settled each for itself.
#[tokio::test]
async fn a_lost_answer_to_many_is_settled() {
    for lossy in Lossy::each().await {
        let ledger = Ledger::default();
        ledger.append(&lossy.store, &append("taken", 1)).await.unwrap();
        lossy.proxy.lose_answer_to("append_many");
        lossy.proxy.lose_answer_to(lossy.ends_with);
        let appends: Vec<_> = (0..40)
            .map(|number| match number {
                7 => append_at("taken", ExpectedVersion::NoStream, 1),
                number => append_at(&format!("s-{number}"), ExpectedVersion::NoStream, 1 + number % 3),
            })
            .collect();
        let told = join_all(appends.iter().map(|append| ledger.append(&lossy.store, append)));
        for (number, told) in in_time(told).await.into_iter().enumerate() {
            match number {
                7 => assert!(matches!(told, Err(AppendError::WrongExpectedVersion { .. })), "{told:?}"),
                _ => assert!(told.is_ok_and(|told| !told.repeated), "{number}"),
            }
        }
        assert_eq!(lossy.proxy.lost_answers(), 2);
        ledger.prove(&lossy.schema, &lossy.store).await;
    }
}

/// A chain that one statement writes, and one that takes a statement for each append.
fn chains() -> [Vec<Append>; 2] {
    let run =
        vec![append_at("s", ExpectedVersion::NoStream, 2), append_at("s", ExpectedVersion::Exact(2), 2)];
    [run, vec![append("t", 1), append("u", 2), append("t", 1)]]
}

#[tokio::test]
async fn a_lost_answer_to_a_chain_is_settled() {
    for lossy in Lossy::each().await {
        for (chain, lost) in chains().into_iter().zip([lossy.ends_with, COMMIT]) {
            lossy.proxy.lose_answer_to(lost);
            let told = in_time(lossy.store.append_all(chain.clone())).await.unwrap();
            assert!(told.iter().all(|told| !told.repeated), "{told:?}");
            let positions: Vec<_> = told.iter().map(|told| told.position).collect();
            assert!(positions.is_sorted(), "{positions:?}");
            for (append, told) in chain.iter().zip(told) {
                let first = lossy.store.outcome(append.id).await.unwrap().unwrap();
                assert_eq!((first.streams, first.position), (told.streams, told.position));
            }
        }
        assert_eq!(lossy.proxy.lost_answers(), 2);
        assert_eq!(lossy.store.head().await.unwrap(), 8);
    }
}

/// A chain that was made before is refused, whether or not the answer gets lost.
#[tokio::test]
async fn a_lost_answer_makes_no_old_chain_a_new_one() {
    let lossy = Lossy::direct().await;
    for chain in chains() {
        lossy.store.append_all(chain.clone()).await.unwrap();
        let mut other = chain.clone();
        for write in other.iter_mut().flat_map(|append| &mut append.writes) {
            if let StreamWrite::Events { events: old, .. } = write {
                *old = events(old.len() as u64);
            }
        }
        for chain in [other, chain] {
            lossy.proxy.lose_answer_to("append_many");
            let told = in_time(lossy.store.append_all(chain)).await;
            assert!(matches!(told, Err(AppendError::AlreadyAppended { .. })), "{told:?}");
        }
    }
    assert_eq!(lossy.proxy.lost_answers(), 4);
}

/// A chain travels with an append that the database refuses; its own answer was lost before.
#[tokio::test]
async fn what_is_open_stays_open_when_a_batch_is_taken_apart() {
    let lossy = Lossy::direct().await;
    let ledger = Ledger::default();
    ledger.append(&lossy.store, &append("first", 1)).await.unwrap();
    // The batch is written, its answer lost, and the question what became of it refused, once.
    sql(
        &lossy.schema,
        "create sequence calls; create function refuse_second() returns trigger language plpgsql set search_path from current as $$ begin \
           if nextval('calls') = 2 then raise exception 'refused' using errcode = '23514'; end if; \
           return null; end $$; \
         create trigger refuse_second before insert on appends for each statement execute function refuse_second()",
    )
    .await;
    lossy.proxy.lose_answer_to("append_many");
    let chain =
        vec![append_at("s", ExpectedVersion::NoStream, 2), append_at("s", ExpectedVersion::Exact(2), 2)];
    let other = append("t", 1);
    let (chain, other) =
        in_time(async { tokio::join!(lossy.store.append_all(chain), ledger.append(&lossy.store, &other)) })
            .await;
    assert_eq!(lossy.proxy.lost_answers(), 1);
    assert!(chain.as_ref().is_ok_and(|told| told.iter().all(|told| !told.repeated)), "{chain:?}");
    assert!(other.as_ref().is_ok_and(|told| !told.repeated), "{other:?}");
}

/// Links and deletions have no id; what became of them is seen in the stream.
#[tokio::test]
async fn a_lost_answer_to_a_link_is_settled() {
    for lossy in Lossy::each().await {
        let store = &lossy.store;
        store.append(append("s", 4)).await.unwrap();
        for (expected, position, version) in [
            (ExpectedVersion::NoStream, 3, 1),
            (ExpectedVersion::Any, 1, 2),
            (ExpectedVersion::Exact(2), 2, 3),
        ] {
            lossy.proxy.lose_answer_to(if lossy.ends_with == COMMIT { COMMIT } else { ".link(" });
            let link = Link { stream_id: stream("links"), expected, positions: vec![position] };
            assert_eq!(in_time(store.link(link)).await.unwrap(), version);
        }
        // Refused, and the refusal lost.
        for (expected, positions) in
            [(ExpectedVersion::Exact(1), vec![4]), (ExpectedVersion::Any, vec![4, 3])]
        {
            lossy.proxy.lose_answer_to(".link(");
            let refused = in_time(store.link(Link { stream_id: stream("links"), expected, positions })).await;
            assert!(
                matches!(
                    refused,
                    Err(AppendError::WrongExpectedVersion { actual: 3, .. }
                        | AppendError::InvalidLink { position: 3, .. })
                ),
                "{refused:?}"
            );
        }
        assert_eq!(lossy.proxy.lost_answers(), 5);
        let links =
            store.read_stream(&stream("links"), 1, cqrs_core::store::Direction::Forward, 9).await.unwrap();
        assert_eq!(links.iter().map(|event| event.position).collect::<Vec<_>>(), [3, 1, 2]);
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_deletion_is_settled() {
    let lossy = Lossy::direct().await;
    let settings = cqrs_postgres::Schema::named(lossy.schema.name()).allow_hard_deletion(true);
    let store = open(config_at(lossy.proxy.url(), &lossy.schema).schema(settings)).await;
    for (name, deletion) in [("soft", Deletion::Soft), ("hard", Deletion::Hard)] {
        store.append(append(name, 2)).await.unwrap();
        lossy.proxy.lose_answer_to("delete_stream");
        in_time(store.delete_stream(&stream(name), ExpectedVersion::Exact(2), deletion)).await.unwrap();
        lossy.proxy.lose_answer_to("delete_stream");
        let none = stream("none");
        let missing = in_time(store.delete_stream(&none, ExpectedVersion::Exact(1), deletion)).await;
        assert!(matches!(missing, Err(AppendError::StreamNotFound { .. })), "{missing:?}");
    }
    // Made a second time it could hit a stream that was begun anew.
    store.append(append("hard", 1)).await.unwrap();
    lossy.proxy.lose_answer_to("delete_stream");
    let open = in_time(store.delete_stream(&stream("hard"), ExpectedVersion::Any, Deletion::Hard)).await;
    assert!(matches!(open, Err(AppendError::OutcomeUnknown { .. })), "{open:?}");
    assert_eq!(lossy.proxy.lost_answers(), 5);
    let closed = store.append(append("soft", 1)).await;
    assert!(matches!(closed, Err(AppendError::StreamDeleted { .. })), "{closed:?}");
}

/// Other processes hear of an append whose answer was lost.
#[tokio::test]
async fn readers_are_told_of_a_settled_append() {
    let lossy = Lossy::direct().await;
    let reader = open(config(&lossy.schema).poll_interval(NEVER)).await;
    let mut head = reader.watch_head();
    lossy.store.append(append("s", 1)).await.unwrap();
    in_time(head.wait_for(|position| *position == 1)).await.unwrap();
    lossy.proxy.lose_answer_to("append_one");
    in_time(lossy.store.append(append("s", 1))).await.unwrap();
    in_time(head.wait_for(|position| *position == 2)).await.unwrap();
}

/// One answer in a hundred is lost; no caller notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pg_115_one_answer_in_a_hundred_is_lost() {
    const CALLERS: u64 = 16;
    const APPENDS: u64 = 100;
    let schema = shared().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let stores = join_all((0..4).map(|_| open(config_at(proxy.url(), &schema)))).await;
    let ledger = Arc::new(Ledger::default());
    proxy.lose_answers(0.01, 115);
    let callers = (0..CALLERS).map(|caller| {
        let store = stores[usize::try_from(caller % 4).unwrap()].clone();
        let ledger = Arc::clone(&ledger);
        tokio::spawn(async move {
            for number in 0..APPENDS {
                let exact = append_at(&format!("own-{caller}"), ExpectedVersion::Exact(number), 1);
                ledger.append(&store, &exact).await.unwrap();
                ledger.append(&store, &append("shared", 2)).await.unwrap();
            }
        })
    });
    for caller in in_time(join_all(callers)).await {
        caller.unwrap();
    }
    assert!(proxy.lost_answers() > 0, "no answer was lost");
    proxy.lose_no_answers();
    assert_eq!(ledger.written(), 2 * CALLERS * APPENDS);
    ledger.prove(&schema, &stores[0]).await;
}

/// The server refuses while an answer is open: the refusal is told, and nothing is there.
#[tokio::test]
async fn a_lost_refusal_is_a_refusal() {
    for lossy in Lossy::each().await {
        let ledger = Ledger::default();
        let mut bad = append("s", 2);
        if let StreamWrite::Events { events, .. } = &mut bad.writes[0] {
            events[1].data = "no JSON".into();
        }
        lossy.proxy.lose_answer_to("append_one");
        let refused = in_time(ledger.append(&lossy.store, &bad)).await;
        assert!(matches!(refused, Err(AppendError::Store(StoreError::Failed(_)))), "{refused:?}");
        assert_eq!(lossy.proxy.lost_answers(), 1);
        ledger.prove(&lossy.schema, &lossy.store).await;
    }
}
