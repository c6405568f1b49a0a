//! Nothing crosses from one instance of an application to another.

use std::collections::HashSet;

use cqrs::MemoryStore;
use cqrs::id::CommandId;
use cqrs::prelude::*;
use cqrs::store::EventStore as _;
use tokio::task::JoinSet;

use crate::handlers::domain::*;

const TENANTS: usize = 3;
const COMMANDS: u64 = 1_000;
const BOOKS: u64 = 10;

struct Tenant {
    store: MemoryStore,
    desk: Desk,
    inbox: Inbox,
}

async fn tenants() -> Vec<Tenant> {
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        let store = MemoryStore::new();
        let (script, inbox) = Script::telling();
        let desk = Desk::builder(store.clone())
            .name(format!("tenant-{number}"))
            .event_handler(Careful(script))
            .start()
            .await
            .unwrap();
        tenants.push(Tenant { store, desk, inbox });
    }
    tenants
}

// G9, CA-003 (2), CA-006 (1), N-008, T-012, T-014, T-015, DEF-006
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ca_006_equal_ids_handlers_and_keys_make_three_independent_logs() {
    let mut tenants = tenants().await;
    // The same ids for all: of aggregates, of commands, and idempotency keys.
    let ids: Vec<CommandId> = (0..COMMANDS).map(|_| CommandId::new()).collect();
    let mut writers = JoinSet::new();
    for (number, tenant) in tenants.iter().enumerate() {
        for writer in 0..BOOKS {
            let (desk, ids) = (tenant.desk.clone(), ids.clone());
            writers.spawn(async move {
                for at in (0..COMMANDS).filter(|at| at % BOOKS == writer) {
                    let command = note(&writer.to_string(), format!("{number}:{at}"));
                    let dispatch = desk.dispatch(command);
                    let dispatched = match at / BOOKS % 2 {
                        0 => dispatch.command_id(ids[usize::try_from(at).unwrap()]).await.unwrap(),
                        _ => dispatch.idempotency_key(format!("key-{at}")).await.unwrap(),
                    };
                    assert!(!dispatched.is_repeated(), "another tenant's command counts for nothing here");
                    assert_eq!(dispatched.version(), at / BOOKS + 1);
                    assert_eq!(dispatched.state().notes, at / BOOKS + 1);
                }
            });
        }
    }
    soon(writers.join_all()).await;

    let mut event_ids = HashSet::new();
    for (number, tenant) in tenants.iter_mut().enumerate() {
        until_caught_up(&tenant.desk, "careful").await;
        let log = log(&tenant.store).await;
        let positions: Vec<u64> = log.iter().map(|event| event.position).collect();
        assert_eq!(positions, (1..=COMMANDS).collect::<Vec<_>>(), "gapless, and each from 1");
        let own = format!("{number}:");
        for event in &log {
            assert!(serde_json::from_slice::<Noted>(&event.data).unwrap().text.starts_with(&own));
            assert!(event_ids.insert(event.event_id));
        }
        for at in 1..=COMMANDS {
            let told = tenant.inbox.next().await;
            assert_eq!(told.context.position(), at);
            assert_eq!(told.context.application(), format!("tenant-{number}"));
            assert!(told.event.text.starts_with(&own), "{told:?}");
        }
        assert_eq!(tenant.inbox.rest(), Vec::<String>::new());
        let live = tenant.desk.live_aggregates();
        assert_eq!(live.len(), usize::try_from(BOOKS).unwrap());
        tenant.desk.shutdown().await;
    }
}

// G8, G9: within a tenant the keys do count.
#[tokio::test]
async fn ca_006_a_key_counts_within_its_own_tenant() {
    let tenants = tenants().await;
    for tenant in &tenants {
        for attempt in 0..2 {
            let dispatched = tenant.desk.dispatch(note("a", "x")).idempotency_key("once").await.unwrap();
            assert_eq!(dispatched.is_repeated(), attempt == 1);
            assert_eq!(dispatched.version(), 1);
        }
    }
    for tenant in &tenants {
        assert_eq!(tenant.store.head().await.unwrap(), 1);
        tenant.desk.shutdown().await;
    }
}

// CA-006 (4), (6): a tenant that ends, or whose handler fails, is no business of the others.
#[tokio::test]
async fn ca_006_a_tenant_comes_and_goes_without_the_others() {
    let mut tenants = tenants().await;
    let failing =
        Script::new(|_, _| std::future::ready(Err(Broken("corrupt")))).on_error(|_| ErrorAction::Stop);
    let corrupt = Desk::builder(MemoryStore::new())
        .name("corrupt")
        .event_handler(Careful(failing))
        .start()
        .await
        .unwrap();
    let error = corrupt.dispatch(note("a", "x")).consistency(Strong).await.unwrap_err();
    assert!(error.is_committed());
    let gone = tenants.remove(1);
    gone.desk.shutdown().await;
    for tenant in &mut tenants {
        tenant.desk.dispatch(note("a", "x")).consistency(Strong).await.unwrap();
        assert!(tenant.desk.health().await.unwrap().is_healthy());
        assert_eq!(tenant.inbox.rest(), ["x"]);
    }
    assert_eq!(gone.store.head().await.unwrap(), 0);
    // It comes back under its name, on its store.
    let back = Desk::builder(gone.store).name("tenant-1").start().await.unwrap();
    back.dispatch(note("a", "back")).await.unwrap();
    back.shutdown().await;
    corrupt.shutdown().await;
    for tenant in tenants {
        tenant.desk.shutdown().await;
    }
}

// G9: what a handler of one tenant dispatches to another is caused by its event, and is a guest there.
#[tokio::test]
async fn g9_a_handler_that_dispatches_to_another_tenant_waits_for_that_tenant_s_handlers() {
    let (script, mut inbox) = Script::telling();
    let store = MemoryStore::new();
    let receiver =
        Desk::builder(store.clone()).name("receiver").event_handler(Careful(script)).start().await.unwrap();
    let other = receiver.clone();
    // The handler has the same name in both: it is not its own.
    let forward = Script::new(move |event, _| {
        let other = other.clone();
        async move {
            let forwarded = other.dispatch(note("a", event.text)).consistency(Strong).await;
            forwarded.map(drop).map_err(|_| Broken("not forwarded"))
        }
    })
    .on_error(|_| ErrorAction::Stop);
    let sender = Desk::builder(MemoryStore::new())
        .name("sender")
        .event_handler(Careful(forward))
        .start()
        .await
        .unwrap();
    let dispatched = soon(async { sender.dispatch(note("a", "x")).consistency(Strong).await }).await.unwrap();
    assert_eq!(inbox.rest(), ["x"], "handled there before the outer dispatch came back");
    assert_eq!(log(&store).await[0].correlation_id, dispatched.correlation_id());
    sender.shutdown().await;
    receiver.shutdown().await;
}
