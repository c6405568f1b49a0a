//! The order in which handlers see events.

use std::collections::HashMap;

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::prelude::*;
use tokio::task::JoinSet;

const BOOKS: u64 = 8;
const NOTES: u64 = 50;

// G5
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g5_every_handler_sees_the_log_in_order_and_each_stream_without_a_hole() {
    let mut inboxes = Vec::new();
    let mut builder = Desk::builder(MemoryStore::new());
    for name in ["first", "second", "third"] {
        let (script, inbox) = Script::telling();
        builder = builder.event_handler_as(name, Careful(script));
        inboxes.push(inbox);
    }
    let desk = builder.start().await.unwrap();
    let mut writers = JoinSet::new();
    for book in 0..BOOKS {
        let desk = desk.clone();
        writers.spawn(async move {
            for text in 1..=NOTES {
                desk.dispatch(note(&book.to_string(), text.to_string())).await.unwrap();
            }
        });
    }
    soon(writers.join_all()).await;
    desk.dispatch(note("end", "end")).consistency(Strong).await.unwrap();

    for mut inbox in inboxes {
        let mut position = 0;
        let mut versions: HashMap<String, u64> = HashMap::new();
        for _ in 0..BOOKS * NOTES {
            let told = inbox.next().await;
            position += 1;
            assert_eq!(told.context.position(), position);
            let version = versions.entry(told.event.book.clone()).or_default();
            *version += 1;
            assert_eq!(told.context.stream_version(), *version);
            assert_eq!(told.event.text, version.to_string(), "what was written first comes first");
        }
        assert_eq!(inbox.rest(), ["end"]);
        assert!(versions.values().all(|version| *version == NOTES));
    }
    desk.shutdown().await;
}

#[tokio::test]
async fn g5_the_context_tells_where_the_event_comes_from() {
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(MemoryStore::new())
        .name("tenant-7")
        .event_handler(Careful(script))
        .start()
        .await
        .unwrap();
    desk.dispatch(Stamp { book: "a-1".into() }).await.unwrap();
    let dispatched = desk.dispatch(note("a-1", "x")).metadata("actor", "u-7").await.unwrap();
    let Told { context, .. } = inbox.next().await;
    assert_eq!((context.position(), context.stream_version()), (2, 2));
    assert_eq!(context.stream_id().as_str(), "book-a-1");
    assert_eq!(context.aggregate_id(), "a-1");
    assert_eq!(context.event_type(), "desk.Noted");
    assert_eq!((context.application(), context.handler()), ("tenant-7", "careful"));
    assert_eq!(context.attempt(), 1);
    assert_eq!(context.causation_id(), dispatched.command_id().into());
    assert_eq!(context.correlation_id(), dispatched.correlation_id());
    assert_eq!(context.metadata().get("actor").unwrap(), "u-7");
    desk.shutdown().await;
}

#[tokio::test]
async fn e_070_a_handler_is_told_all_that_the_store_knows_of_an_event() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    for (book, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        desk.dispatch(note(book, text)).metadata("actor", "u-7").metadata("text", text).await.unwrap();
    }
    for stored in log(&store).await {
        let Told { event, context } = inbox.next().await;
        assert_eq!(serde_json::from_slice::<Noted>(&stored.data).unwrap(), event);
        assert_eq!((context.event_id(), context.position()), (stored.event_id, stored.position));
        assert_eq!(
            (context.stream_id(), context.stream_version()),
            (&stored.stream_id, stored.stream_version)
        );
        assert_eq!(
            (context.causation_id(), context.correlation_id()),
            (stored.causation_id, stored.correlation_id)
        );
        assert_eq!((context.created_at(), context.metadata()), (stored.created_at, &stored.metadata));
        assert_eq!(context.metadata().get("text").unwrap(), &*event.text);
        assert_eq!(context.recorded(), &stored);
    }
    desk.shutdown().await;
}
