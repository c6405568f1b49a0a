use std::sync::Arc;

use cqrs_core::store::{Deletion, EventData, EventFilter, EventStore as _, ExpectedVersion};
use cqrs_core::subscription::Follow;
use cqrs_postgres::PostgresStore;
use futures_util::future::join_all;

use crate::support::{append, config, event, fresh, in_time, log, schema, store, stream};

fn follow(store: &PostgresStore, after: u64) -> Follow {
    follow_some(store, after, EventFilter::all())
}

fn follow_some(store: &PostgresStore, after: u64, filter: EventFilter) -> Follow {
    Follow::new(Arc::new(store.clone()), after, filter)
}

/// The positions of the next events.
async fn take(follow: &mut Follow, count: usize) -> Vec<u64> {
    let mut positions = Vec::new();
    while positions.len() < count {
        positions.push(in_time(follow.next()).await.unwrap().position);
    }
    positions
}

fn other(number: u64) -> EventData {
    EventData { event_type: "Other".into(), ..event(number) }
}

async fn write(store: &PostgresStore, name: &str, count: u64) {
    for number in 0..count {
        store.append(append(name, vec![event(number)])).await.unwrap();
    }
}

/// Whoever begins at the present gets what comes, in order, an append's events together.
#[tokio::test]
async fn pg_071_pg_072_who_begins_at_the_present_gets_what_comes() {
    let schema = schema().await;
    let store = store(&schema).await;
    write(&store, "s", 3).await;
    let mut present = follow(&store, store.head().await.unwrap());
    assert_eq!(present.try_next().await.unwrap(), None);
    store.append(append("t", vec![event(1), event(2)])).await.unwrap();
    write(&store, "s", 1).await;
    assert_eq!(take(&mut present, 3).await, [4, 5, 6]);
    assert_eq!(present.try_next().await.unwrap(), None);
}

#[tokio::test]
async fn pg_076_from_the_origin_the_present_or_a_position() {
    let schema = schema().await;
    let store = store(&schema).await;
    write(&store, "s", 5).await;
    let mut readers = [follow(&store, 0), follow(&store, 2), follow(&store, 5)];
    write(&store, "s", 1).await;
    for (reader, first) in readers.iter_mut().zip([1, 3, 6]) {
        assert_eq!(take(reader, usize::try_from(7 - first).unwrap()).await, (first..=6).collect::<Vec<_>>());
        assert_eq!(reader.position(), 6);
    }
}

/// A log without events is waited for, and so is a stream that is begun later.
#[tokio::test]
async fn pg_077_an_empty_log_is_waited_for() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut reader = follow(&store, 0);
    assert_eq!(reader.try_next().await.unwrap(), None);
    for expected in 1..=3 {
        let (next, written) = tokio::join!(
            in_time(reader.next()),
            store.append(append(&format!("s-{expected}"), vec![event(1)]))
        );
        assert_eq!((next.unwrap().position, written.unwrap().position), (expected, expected));
    }
}

/// H20: catching up becomes following without a hole or a repetition, while others write. Of many readers each gets
/// everything (`pg_080`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_078_pg_080_readers_catch_up_while_others_write() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 60;
    let schema = schema().await;
    let (writer, reader) = (store(&schema).await, store(&schema).await);
    write(&writer, "before", EACH).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let store = writer.clone();
            tokio::spawn(async move { write(&store, &format!("s-{number}"), EACH).await })
        })
        .collect();
    let total = EACH * (WRITERS + 1);
    let readers = (0..6_u64).map(|number| {
        let mut reader = follow(&reader, number);
        tokio::spawn(async move {
            let positions = take(&mut reader, usize::try_from(total - number).unwrap()).await;
            assert_eq!(positions, (number + 1..=total).collect::<Vec<_>>());
        })
    });
    for task in readers.chain(writers).collect::<Vec<_>>() {
        in_time(task).await.unwrap();
    }
}

/// A filter holds while catching up and afterwards; nothing is told of what it keeps back.
#[tokio::test]
async fn pg_073_pg_090_a_filter_holds_in_the_past_and_the_present() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut expected = Vec::new();
    let mut reader = follow_some(&store, 0, EventFilter::types(["Other"]));
    for number in 1..=40 {
        let one = if number % 5 == 0 { other(number) } else { event(number) };
        let position = store.append(append("s", vec![one])).await.unwrap().position;
        if number % 5 == 0 {
            expected.push(position);
        }
        if number == 20 {
            assert_eq!(take(&mut reader, 4).await, expected, "the past");
        }
        if number > 20 && number % 5 == 0 {
            assert_eq!(take(&mut reader, 1).await, [position], "the present");
        }
        if number > 20 {
            assert_eq!(reader.try_next().await.unwrap(), None);
        }
    }
}

/// Events of a softly deleted stream stay in the log; those of a hard-deleted one are passed over, also by whoever
/// goes on behind them, in front of them or among them.
#[tokio::test]
async fn pg_093_readers_pass_over_what_was_deleted() {
    let store = fresh(|schema| schema.allow_hard_deletion(true)).await;
    for number in 0..4 {
        for name in ["soft", "hard", "open"] {
            store.append(append(name, vec![event(number)])).await.unwrap();
        }
    }
    let mut reader = follow(&store, 0);
    assert_eq!(take(&mut reader, 2).await, [1, 2]);
    for (name, deletion) in [("soft", Deletion::Soft), ("hard", Deletion::Hard)] {
        store.delete_stream(&stream(name), ExpectedVersion::Any, deletion).await.unwrap();
    }
    let left = [1, 3, 4, 6, 7, 9, 10, 12];
    for after in 0..=12 {
        let expected: Vec<_> = left.into_iter().filter(|position| *position > after).collect();
        let mut resumed = follow(&store, after);
        assert_eq!(take(&mut resumed, expected.len()).await, expected);
        assert_eq!(resumed.try_next().await.unwrap(), None);
    }
    store.append(append("hard", vec![event(9)])).await.unwrap();
    for after in [2, 11, 12] {
        let mut resumed = follow(&store, after);
        let expected: Vec<_> = left.into_iter().chain([13]).filter(|position| *position > after).collect();
        assert_eq!(take(&mut resumed, expected.len()).await, expected);
    }
}

/// H2: a page that says how far it reaches was read at one moment. While many write, it never reaches over an event
/// that it does not hold.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_113_a_page_never_reaches_over_what_it_has_not_seen() {
    const WRITERS: u64 = 16;
    const EACH: u64 = 30;
    let schema = schema().await;
    let nodes = join_all((0..2).map(|_| PostgresStore::connect(config(&schema).connections(3)))).await;
    let nodes: Vec<_> = nodes.into_iter().map(Result::unwrap).collect();
    let readers: Vec<_> = [1, 3, 1_000]
        .map(|limit| {
            let store = nodes[0].clone();
            tokio::spawn(async move {
                let (mut after, mut seen) = (0, Vec::new());
                while after < WRITERS * EACH * 2 {
                    let page = store.read_log(after, &EventFilter::types(["Other"]), limit).await.unwrap();
                    let mut positions = page.events.iter().map(|event| event.position);
                    assert!(positions.all(|position| after < position && position <= page.read_to));
                    seen.extend(page.events.into_iter().map(|event| event.position));
                    after = page.read_to;
                }
                seen
            })
        })
        .into();
    let writers = (0..WRITERS).map(|writer| {
        let store = nodes[usize::try_from(writer % 2).unwrap()].clone();
        tokio::spawn(async move {
            for number in 0..EACH {
                store
                    .append(append(&format!("s-{writer}"), vec![event(number), other(number)]))
                    .await
                    .unwrap();
            }
        })
    });
    for writer in in_time(join_all(writers)).await {
        writer.unwrap();
    }
    let expected = log(&nodes[0]).await.into_iter().filter(|event| event.event_type == "Other");
    let expected: Vec<_> = expected.map(|event| event.position).collect();
    for reader in in_time(join_all(readers)).await {
        assert_eq!(reader.unwrap(), expected);
    }
}
