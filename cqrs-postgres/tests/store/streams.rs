use cqrs_core::store::{
    Append, Deletion, Direction, EventStore as _, ExpectedVersion, StoreError, StreamId, StreamStatus,
};
use cqrs_postgres::testing::Proxy;
use cqrs_postgres::{PostgresConfig, PostgresStore, StreamQuery};

use crate::support::{append, event, fresh, schema, stream};

async fn with(names: &[&str]) -> PostgresStore {
    let store = fresh(|schema| schema.allow_hard_deletion(true)).await;
    for name in names {
        store.append(append(name, vec![event(1), event(2)])).await.unwrap();
    }
    store
}

/// All pages of a query, as names.
async fn pages(store: &PostgresStore, query: StreamQuery) -> Vec<Vec<String>> {
    let (mut pages, mut next) = (Vec::new(), Some(query));
    while let Some(query) = next {
        let page = store.streams(query).await.unwrap();
        pages.push(page.streams.iter().map(|stream| stream.stream_id.to_string()).collect());
        next = page.next;
    }
    pages
}

async fn names(store: &PostgresStore, query: StreamQuery) -> Vec<String> {
    pages(store, query).await.concat()
}

#[tokio::test]
async fn pg_061_streams_are_listed_in_pages() {
    let store = with(&["e", "a", "d", "B", "c"]).await;
    assert_eq!(pages(&store, StreamQuery::new()).await, [["B", "a", "c", "d", "e"]]);
    let two = StreamQuery::new().page_size(2);
    assert_eq!(pages(&store, two.clone()).await, [vec!["B", "a"], vec!["c", "d"], vec!["e"]]);
    assert_eq!(
        pages(&store, two.page_size(5)).await.len(),
        1,
        "a full page is the last one when nothing follows"
    );
    assert_eq!(pages(&store, StreamQuery::new().page_size(0)).await.len(), 5);
    assert_eq!(names(&store, StreamQuery::new().after(stream("c"))).await, ["d", "e"]);
    assert_eq!(pages(&store, StreamQuery::new().after(stream("e"))).await, [Vec::<String>::new()]);
    let info = &store.streams(StreamQuery::new()).await.unwrap().streams[1];
    assert_eq!(Some(info.clone()), store.stream_info(&stream("a")).await.unwrap());
    assert_eq!((info.version, info.status), (2, StreamStatus::Active));
}

#[tokio::test]
async fn pg_061_a_page_has_fifty_streams_unless_set() {
    let many: Vec<_> = (0..51).map(|number| format!("s-{number:02}")).collect();
    let store = with(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let sizes: Vec<_> = pages(&store, StreamQuery::new()).await.iter().map(Vec::len).collect();
    assert_eq!(sizes, [50, 1]);
}

#[tokio::test]
async fn pg_062_a_search_takes_every_character_literally() {
    let store = with(&["a-100%", "a-1000", "a_b", "aXb", "b-100%", "ä-1", "a\\b"]).await;
    let containing = |text: &str| StreamQuery::new().containing(text);
    assert_eq!(names(&store, containing("100%")).await, ["a-100%", "b-100%"]);
    assert_eq!(names(&store, containing("_")).await, ["a_b"]);
    assert_eq!(names(&store, containing("\\")).await, ["a\\b"]);
    assert_eq!(names(&store, containing("ä")).await, ["ä-1"]);
    assert_eq!(names(&store, containing("A-")).await, Vec::<String>::new(), "case counts");
    let prefix = |text: &str| StreamQuery::new().prefix(text);
    assert_eq!(names(&store, prefix("a-")).await, ["a-100%", "a-1000"]);
    assert_eq!(names(&store, prefix("a_")).await, ["a_b"]);
    assert_eq!(names(&store, prefix("%")).await, Vec::<String>::new());
    assert_eq!(names(&store, prefix("a-").containing("%").page_size(1)).await, ["a-100%"]);
    assert_eq!(names(&store, prefix("a-").after(stream("a-100%"))).await, ["a-1000"]);
    assert_eq!(names(&store, prefix("a-").after(stream("b"))).await, Vec::<String>::new());
}

#[tokio::test]
async fn pg_063_deleted_streams_are_listed_as_what_they_are() {
    let store = with(&["gone", "closed", "open"]).await;
    for (name, deletion) in [("closed", Deletion::Soft), ("gone", Deletion::Hard)] {
        store.delete_stream(&stream(name), ExpectedVersion::Any, deletion).await.unwrap();
    }
    let listed = store.streams(StreamQuery::new()).await.unwrap().streams;
    let listed: Vec<_> = listed.iter().map(|stream| (stream.stream_id.as_str(), stream.status)).collect();
    assert_eq!(listed, [("closed", StreamStatus::Deleted), ("open", StreamStatus::Active)]);
    store.append(append("gone", vec![event(1)])).await.unwrap();
    let again = store.streams(StreamQuery::new().prefix("gone")).await.unwrap().streams;
    assert_eq!((again.len(), again[0].version), (1, 1), "the name has begun anew");
}

/// A page ends where its window ends, and the next one goes on there.
#[tokio::test]
async fn pg_062_a_rare_text_is_found_among_many() {
    let store = fresh(|schema| schema).await;
    let appends = (0..10_050).map(|number| {
        let name = if number == 10_020 { "s-10020-rare".to_owned() } else { format!("s-{number:05}") };
        append(&name, vec![event(number)])
    });
    let appends: Vec<Append> = appends.collect();
    for some in appends.chunks(1_000) {
        store.append_all(some.to_vec()).await.unwrap();
    }
    let found = pages(&store, StreamQuery::new().containing("rare").page_size(3)).await;
    assert_eq!(found, [vec![], vec!["s-10020-rare".to_owned()]]);
    let last = StreamId::new("s-09999").unwrap();
    let marker = pages(&store, StreamQuery::new().containing("s-09999")).await;
    assert_eq!(marker, [vec![last.to_string()], vec![]], "the last of a window is told once");
}

/// Why a stream has nothing to give is told by the same question that asks for its events.
#[tokio::test]
async fn a_stream_is_read_with_one_question() {
    let schema = schema().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let config = PostgresConfig::new(proxy.url()).schema(schema.name()).connections(4);
    let store = PostgresStore::connect(config).await.unwrap();
    for name in ["short", "closed"] {
        store.append(append(name, vec![event(1), event(2)])).await.unwrap();
    }
    let closed = stream("closed");
    store.delete_stream(&closed, ExpectedVersion::Any, Deletion::Soft).await.unwrap();
    proxy.lose_answer_to("version, created_at, deleted_at");
    for (direction, beyond) in [(Direction::Forward, 3), (Direction::Backward, 0)] {
        let read = async |name: &str, from| store.read_stream(&stream(name), from, direction, 9).await;
        assert_eq!(read("none", 1).await.unwrap(), []);
        assert_eq!(read("short", beyond).await.unwrap(), []);
        assert!(
            matches!(read("closed", 1).await, Err(StoreError::StreamDeleted { stream_id }) if stream_id == closed)
        );
    }
    assert_eq!(proxy.lost_answers(), 0);
    assert!(store.stream_info(&closed).await.unwrap().is_some());
    assert_eq!(proxy.lost_answers(), 1, "that would have been the second one");
}
